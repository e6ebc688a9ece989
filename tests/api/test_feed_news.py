"""Waiting requests hear of new events by the store's hint, and without it a moment later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.api.waiting.feed_news import FeedNews
from bridge.api.waiting.waiters import LONG_POLLS, Waiter, Waiters
from bridge.store import feed_keys
from tests.api.serving import Client
from tests.api.streams import write_event

PROJECT = "prj_default"


@asynccontextmanager
async def waiting(api: Client, *, interval_s: float) -> AsyncIterator[tuple[FeedNews, Waiter]]:
    """Listen for one waiting request that has looked already."""
    polls = Waiters(LONG_POLLS)
    news = FeedNews(api.services.store.feed, (polls,), interval_s=interval_s)
    async with news.listening():
        with polls.enter(PROJECT) as waiter:
            yield news, waiter


async def heard(news: FeedNews, waiter: Waiter, position: int) -> None:
    async with asyncio.timeout(20):
        while await news.newest(PROJECT) != position:
            await waiter.sleep(3600)


async def test_a_hint_wakes_who_waits(api: Client) -> None:
    """Without any look of its own at the feed."""
    async with waiting(api, interval_s=3600) as (news, waiter):
        for position in (1, 2, 3):
            await write_event(api.services, position)
            await heard(news, waiter, position)


async def test_a_lost_hint_delays_and_no_more(api: Client) -> None:
    """The feed grows without a message, as when the connection was away."""
    async with waiting(api, interval_s=0.1) as (news, waiter):
        await heard(news, waiter, 0)
        await api.services.store.redis.incr(feed_keys.position(PROJECT))
        await heard(news, waiter, 1)

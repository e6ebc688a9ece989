"""Long polls: how long they wait, how many may wait, and that none keeps another project's from waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from bridge.api.waiting.waiters import LONG_POLLS, Waiter, Waiters, WaitLimits
from bridge.errors import RateLimited
from tests.api.serving import BEARER, Client, tell

QUIET = "/v1/events?after=0&type=webhook.test&wait=55"


@asynccontextmanager
async def polling(api: Client, count: int, headers: dict[str, str]) -> AsyncIterator[None]:
    """Let so many long polls of one project wait; one that is refused asks again, so that no place stays free."""

    async def poll(client: Client) -> None:
        while (await client.call("GET", QUIET, headers=headers))[0] == 429:
            pass

    async with Client.session() as http:
        client = Client(http, api.url, api.services)
        tasks = [asyncio.create_task(poll(client)) for _ in range(count)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def refused(api: Client, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
    """Ask until the project's waiting places are all taken."""
    async with asyncio.timeout(30):
        while True:
            answer = await api.ask("GET", "/v1/events?after=0&type=webhook.test&wait=0.1", headers=headers)
            if answer[0] == 429:
                return answer


async def test_many_long_polls_of_one_project_refuse_nobody_else(api: Client) -> None:
    """Its own are too many beyond a hundred; another project's wait, and hear what happens."""
    _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
    theirs = {"X-API-Key": other["key"]}
    async with polling(api, 2 * LONG_POLLS.per_project, theirs):
        _, body, headers = await refused(api, theirs)
        assert body["error"]["code"] == "RATE_LIMITED"
        assert "requests of this project wait" in body["error"]["message"]
        assert headers["Retry-After"] == "1"
        made = await api.register(job_id="a")
        waiting = asyncio.create_task(api.call("GET", "/v1/events?after=0&wait=55"))
        await asyncio.sleep(0)
        event, _ = await tell(api, made)
        status, page = await waiting
        assert (status, [each["id"] for each in page["data"]]) == (200, [event])


async def test_a_poll_waits_as_long_as_it_asks_for_and_no_longer(api: Client) -> None:
    """Not less, as it once was; 55 s is the most."""
    began_s = time.monotonic()
    status, page = await api.call("GET", "/v1/events?after=0&wait=9")
    assert (status, page["data"], page["next_cursor"]) == (200, [], "a0")
    assert 8.9 < time.monotonic() - began_s < 14
    assert (await api.call("GET", "/v1/events?wait=56"))[0] == 400


@pytest.mark.parametrize(
    "query", ["after=0&type=sync_job.completed", "type=sync_job.completed", "job_id=a&after=0"]
)
async def test_a_filtered_poll_hears_what_fits(api: Client, query: str) -> None:
    """Others that come meanwhile do not end it, with and without a position."""
    if query.startswith("job_id"):
        query += "&type=sync_job.completed"
    made, other = await api.register(job_id="a"), await api.register(generated_post_id="b")
    await tell(api, other, "generated_post.completed")
    waiting = asyncio.create_task(api.call("GET", f"/v1/events?{query}&wait=20"))
    await tell(api, made, "sync_job.running")
    await asyncio.sleep(0.6)
    assert not waiting.done()
    event, _ = await tell(api, made)
    _, page = await waiting
    assert [each["id"] for each in page["data"]] == [event]


async def test_a_poll_that_heard_nothing_says_how_far_it_looked(api: Client) -> None:
    """So that the next one need not look at the same events again."""
    made = await api.register(job_id="a")
    await tell(api, made)
    _, page = await api.call("GET", "/v1/events?after=0&type=webhook.test&wait=0.3")
    assert page == {"data": [], "next_cursor": "a1"}


async def test_a_waiting_project_asks_the_store_once_an_interval(api: Client) -> None:
    """However many of its requests wait: fifty for a second cost a few reads, not four each."""
    # The first second has the reads with which they begin.
    async with polling(api, 50, BEARER):
        a_second = [await count_commands(api) for _ in range(5)]
    assert min(a_second) < 40, a_second


async def count_commands(api: Client) -> int:
    """Return how many commands the store carries out in a second."""
    before = (await api.services.store.redis.info("stats"))["total_commands_processed"]
    await asyncio.sleep(1)
    after = (await api.services.store.redis.info("stats"))["total_commands_processed"]
    return int(after - before)


@pytest.fixture
def waiting() -> Iterator[ExitStack]:
    """The requests that wait during a test."""
    with ExitStack() as stack:
        yield stack


def enter(waiting: ExitStack, polls: Waiters, project: str, count: int) -> list[Waiter]:
    """Let requests wait until the test ends."""
    return [waiting.enter_context(polls.enter(project)) for _ in range(count)]


FEW = WaitLimits(noun="requests", advice="end some", per_project=4, at_most=6)


async def test_a_full_process_ends_the_oldest_poll_of_the_largest_project(waiting: ExitStack) -> None:
    """Nobody is refused for another project's sake."""
    polls = Waiters(FEW)
    large, small = enter(waiting, polls, "large", 4), enter(waiting, polls, "small", 2)
    with polls.enter("new"):
        assert [poll.ended for poll in large] == [True, False, False, False]
        assert not any(poll.ended for poll in small)
        assert not enter(waiting, polls, "large", 1)[0].ended
    enter(waiting, polls, "large", 1)
    with pytest.raises(RateLimited), polls.enter("large"):
        pass


async def test_a_process_that_stops_lets_polls_answer(waiting: ExitStack) -> None:
    """Those that wait, and those that come."""
    polls = Waiters(LONG_POLLS)
    known = enter(waiting, polls, "a", 2)
    polls.end_all()
    assert all(poll.ended for poll in known)
    with polls.enter("a") as late:
        assert late.ended

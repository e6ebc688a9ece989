"""One timer for many time limits: each is called at its time, whatever was added or removed meanwhile."""

import asyncio
from collections.abc import Callable

from bridge.http.client.expiry import ExpiryTimer


def noted(calls: list[str], name: str, done: asyncio.Event | None = None) -> Callable[[], None]:
    def expire() -> None:
        calls.append(name)
        if done is not None:
            done.set()

    return expire


async def test_each_limit_is_called_in_its_turn_and_a_removed_one_never() -> None:
    """An earlier one may be added after a later one."""
    loop, calls, done = asyncio.get_running_loop(), list[str](), asyncio.Event()
    timer = ExpiryTimer(loop)
    now = loop.time()
    removed = noted(calls, "removed")
    timer.add(noted(calls, "last", done), now + 0.09)
    timer.add(removed, now + 0.03)
    timer.add(noted(calls, "first"), now + 0.01)
    timer.remove(removed)
    async with asyncio.timeout(10):
        await done.wait()
    assert calls == ["first", "last"]
    assert loop.time() >= now + 0.08, "not before its time; the clock has steps"


async def test_what_was_added_before_a_call_adds_more_is_still_called() -> None:
    """A function that is called may add another one."""
    loop, calls, done = asyncio.get_running_loop(), list[str](), asyncio.Event()
    timer = ExpiryTimer(loop)

    def again() -> None:
        calls.append("again")
        timer.add(noted(calls, "more"), loop.time())

    timer.add(again, loop.time())
    timer.add(noted(calls, "end", done), loop.time() + 0.05)
    async with asyncio.timeout(10):
        await done.wait()
    assert calls == ["again", "more", "end"]


async def test_a_closed_timer_calls_nothing() -> None:
    loop, calls, done = asyncio.get_running_loop(), list[str](), asyncio.Event()
    timer = ExpiryTimer(loop)
    timer.add(noted(calls, "late"), loop.time())
    timer.close()
    loop.call_later(0.02, done.set)
    await done.wait()
    assert calls == []

"""Every process uses the store's time."""

import asyncio

from redis.exceptions import ConnectionError as StoreGone

from bridge.store.queue.clock import StoreClock, following

HOUR_S = 3600


class Ticking:
    """A store whose time the test sets; it may be unreachable."""

    def __init__(self) -> None:
        self.now_s = HOUR_S
        self.away = False
        self.asked = asyncio.Condition()
        self.times = 0

    async def time_ms(self) -> int:
        async with self.asked:
            self.times += 1
            self.asked.notify_all()
        if self.away:
            raise StoreGone("gone")
        return self.now_s * 1000 + 250

    async def next_answer(self) -> None:
        """Wait until the clock has asked twice more, so that one whole answer was taken over."""
        async with self.asked:
            wanted = self.times + 2
            await self.asked.wait_for(lambda: self.times >= wanted)


async def test_a_clock_follows_the_store_not_its_host() -> None:
    """A host's own time counts for nothing; between two answers the monotonic clock goes on."""
    monotonic = 100.0
    clock = StoreClock(monotonic_s=lambda: monotonic)
    await clock.ask(Ticking().time_ms)
    assert clock.now_ms() == HOUR_S * 1000 + 250
    monotonic = 101.5
    assert clock.now_ms() == HOUR_S * 1000 + 1750


async def test_a_store_that_is_away_for_a_while_is_asked_again() -> None:
    """The last answer stands meanwhile."""
    store = Ticking()
    clock = StoreClock(monotonic_s=lambda: 0.0)
    async with following(clock, store.time_ms, every_s=0.001):
        assert clock.now_ms() == HOUR_S * 1000 + 250
        store.away = True
        store.now_s = 2 * HOUR_S
        await store.next_answer()
        assert clock.now_ms() == HOUR_S * 1000 + 250
        store.away = False
        await store.next_answer()
        assert clock.now_ms() == 2 * HOUR_S * 1000 + 250

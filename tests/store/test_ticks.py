"""What only one of all workers does in each interval."""

from bridge.store.store import Store


async def test_a_tick_is_for_one_caller_in_each_interval(store: Store) -> None:
    """One that came late does not cost the next one its turn, and another caller at another moment gets none in between."""
    assert await store.take_tick("sweep", 100_000, every_ms=2_000)
    assert not await store.take_tick("sweep", 100_900, every_ms=2_000)
    assert await store.take_tick("sweep", 102_400, every_ms=2_000)
    assert await store.take_tick("sweep", 104_000, every_ms=2_000), "in time, after one that was 400 ms late"
    assert not await store.take_tick("sweep", 105_400, every_ms=2_000)
    assert await store.take_tick("rarely", 100_000, every_ms=60_000)
    assert not await store.take_tick("rarely", 158_000, every_ms=60_000)
    assert await store.take_tick("rarely", 159_500, every_ms=60_000)

"""What is kept for a moment is never older than said, whoever asks, however long a read takes."""

import asyncio

import pytest

from bridge.store.recent import Recent


class Source:
    """A store with a clock that the test sets; reads can be made to wait or fail."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.values: dict[str, str] = {"key": "old"}
        self.reads = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.broken = False
        self.recent = Recent(self.read, max_age_s=0.5, most=3, clock_s=lambda: self.now_s)

    async def begun(self, reads: int) -> None:
        """Wait until so many reads have begun."""
        while self.reads < reads:  # noqa: ASYNC110 -- a few turns of the loop
            await asyncio.sleep(0)

    async def read(self, key: str) -> str | None:
        self.reads += 1
        value = self.values.get(key)
        await self.may_answer.wait()
        if self.broken:
            raise ConnectionError
        return value


async def test_a_value_is_read_once_in_its_time() -> None:
    """And anew half a second after the read began."""
    source = Source()
    assert [await source.recent.get("key") for _ in range(3)] == ["old"] * 3
    assert source.reads == 1
    source.values["key"] = "new"
    source.now_s += 0.49
    assert await source.recent.get("key") == "old"
    source.now_s += 0.01
    assert await source.recent.get("key") == "new"
    assert source.reads == 2


async def test_who_asks_during_a_read_shares_it() -> None:
    """Unless it began too long ago: its value may be older than what was changed since."""
    source = Source()
    source.may_answer.clear()
    asked = [asyncio.create_task(source.recent.get("key")) for _ in range(3)]
    await source.begun(1)
    source.values["key"] = "new"
    source.now_s += 0.6
    late = asyncio.create_task(source.recent.get("key"))
    await source.begun(2)
    source.may_answer.set()
    assert [await each for each in asked] == ["old"] * 3
    assert await late == "new"
    assert await source.recent.get("key") == "new"
    assert source.reads == 2


async def test_what_does_not_exist_is_looked_for_each_time() -> None:
    """A key that was made just now works at once; one that was revoked is not kept."""
    source = Source()
    assert await source.recent.get("other") is None
    source.values["other"] = "made"
    assert await source.recent.get("other") == "made"
    del source.values["other"]
    source.now_s += 0.5
    assert await source.recent.get("other") is None
    source.values["other"] = "again"
    assert await source.recent.get("other") == "again"


async def test_an_error_is_not_kept() -> None:
    """The next one who asks tries again."""
    source = Source()
    source.broken = True
    with pytest.raises(ConnectionError):
        await source.recent.get("key")
    source.broken = False
    assert await source.recent.get("key") == "old"


async def test_a_caller_that_is_cancelled_harms_no_other() -> None:
    """The read goes on for those who share it."""
    source = Source()
    source.may_answer.clear()
    first, second = (asyncio.create_task(source.recent.get("key")) for _ in range(2))
    await source.begun(1)
    first.cancel()
    source.may_answer.set()
    assert await second == "old"
    assert await source.recent.get("key") == "old"
    assert source.reads == 1


async def test_what_this_process_changed_is_read_at_once() -> None:
    """Even where a read of the old value is still under way."""
    source = Source()
    source.may_answer.clear()
    slow = asyncio.create_task(source.recent.get("key"))
    await source.begun(1)
    source.values["key"] = "new"
    source.recent.forget("key")
    source.may_answer.set()
    assert await slow == "old"
    assert await source.recent.get("key") == "new"


async def test_the_number_of_values_is_bounded() -> None:
    """The one that was read first goes first."""
    source = Source()
    source.values = {name: name for name in "abcd"}
    for name in "abcd":
        await source.recent.get(name)
    await source.recent.get("d")
    await source.recent.get("b")
    assert source.reads == 4
    await source.recent.get("a")
    assert source.reads == 5

"""Reads of the same thing at nearly the same time are made once."""

import asyncio

import pytest

from bridge.services.shared_reads import SharedReads


class Source:
    """Something to read, which counts its reads, and answers when it is told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.told = asyncio.Event()
        self.told.set()

    async def read(self) -> int:
        """Return the number of this read."""
        self.reads += 1
        number = self.reads
        await self.told.wait()
        return number

    async def fail(self) -> int:
        """Fail."""
        self.reads += 1
        raise ValueError


async def test_those_who_ask_meanwhile_get_the_same() -> None:
    """Also if the first of them has gone."""
    shared, source = SharedReads(), Source()
    source.told.clear()
    asked = [
        asyncio.create_task(shared.get("a", source.read, now_ms=at_ms, fresh_ms=0)) for at_ms in (0, 5_000)
    ]
    await asyncio.sleep(0)
    asked[0].cancel()
    await asyncio.sleep(0)
    source.told.set()
    assert (await asked[1], source.reads) == (1, 1)


async def test_a_read_serves_for_a_while() -> None:
    """A later one is another, and so is one of something else."""
    shared, source = SharedReads(), Source()
    got = [await shared.get("a", source.read, now_ms=at_ms, fresh_ms=60_000) for at_ms in (0, 60_000, 60_001)]
    assert got == [1, 1, 2]
    assert await shared.get("b", source.read, now_ms=60_001, fresh_ms=60_000) == 3


async def test_a_failure_is_not_kept() -> None:
    """All who wait for it hear of it, and the next one asks anew."""
    shared, source = SharedReads(), Source()
    for _ in range(2):
        with pytest.raises(ValueError):
            await shared.get("a", source.fail, now_ms=0, fresh_ms=60_000)
    assert source.reads == 2

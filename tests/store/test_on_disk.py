"""What is known to be on disk, and that the disk is asked once for all who wait for it."""

import asyncio

import structlog
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.durable import CONFIRMED_SOON_MS, DiskConfirmations, DurableScripts
from bridge.store.errors import StoreNotDurable


class Disk(DurableScripts):
    """A disk that answers when it is told to; `asked` are the keys that were written for it."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.asked: list[str] = []
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def confirm(self, touched: str) -> None:
        self.asked.append(touched)
        await self.answer


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000

    def now_ms(self) -> int:
        return self.ms


async def test_the_disk_is_asked_once_for_all_who_wait(redis: Redis) -> None:
    """Its answer counts for what was written before it was asked, in that shard alone."""
    disk, clock = Disk(redis), Clock()
    on_disk = DiskConfirmations(disk, aof=True, clock_ms=clock.now_ms)
    assert on_disk.wait_ms("a", 900) == CONFIRMED_SOON_MS
    await asyncio.sleep(0)
    clock.ms = 2_000
    assert on_disk.wait_ms("a", 1_500) == 1_000, "as long as it has taken so far"
    disk.answer.set_result(None)
    await on_disk.finish()
    assert disk.asked == [keys.touched("a")]
    assert on_disk.wait_ms("a", 1_000) == 0
    assert on_disk.wait_ms("a", 1_500) == on_disk.wait_ms("b", 1_000) == CONFIRMED_SOON_MS
    await on_disk.finish()
    assert on_disk.wait_ms("a", 2_000) == 0
    assert sorted(disk.asked) == [keys.touched("a"), keys.touched("a"), keys.touched("b")]


async def test_a_disk_that_does_not_confirm_is_asked_again(redis: Redis) -> None:
    """Nothing is taken for granted meanwhile, and the log says so."""
    disk, clock = Disk(redis), Clock()
    on_disk = DiskConfirmations(disk, aof=True, clock_ms=clock.now_ms)
    disk.answer.set_exception(StoreNotDurable())
    with structlog.testing.capture_logs() as lines:
        assert on_disk.wait_ms("a", 900)
        await on_disk.finish()
    assert [(each["event"], each["error"]) for each in lines] == [("store.not_confirmed", "StoreNotDurable")]
    assert on_disk.wait_ms("a", 900)
    await on_disk.finish()
    assert len(disk.asked) == 2


async def test_a_real_server_confirms(real: Redis) -> None:
    """It does so within the time that the wait for the disk may take."""
    on_disk = DiskConfirmations(DurableScripts(real), aof=True, clock_ms=Clock().now_ms)
    assert on_disk.wait_ms("a", 1_000)
    await on_disk.finish()
    assert on_disk.wait_ms("a", 1_000) == 0


async def test_without_an_append_only_file_nothing_is_waited_for(redis: Redis) -> None:
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=False, clock_ms=Clock().now_ms)
    assert on_disk.wait_ms("a", 1_000) == 0
    assert not disk.asked

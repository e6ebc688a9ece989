"""Whether the disk has what a shard holds, and that it is asked once for all who wait."""

import asyncio

import pytest
import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostError

from bridge.store import durable, keys
from bridge.store.durable import DiskConfirmations, DurableScripts
from bridge.store.errors import StoreFull, StoreNotDurable


class Disk(DurableScripts):
    """A disk that answers when it is told to; `asked` are the keys that were written for it."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.asked: list[str] = []
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def confirm(self, touched: str) -> None:
        self.asked.append(touched)
        if error := await self.answers.get():
            raise error

    def tasks(self, on_disk: DiskConfirmations) -> list[asyncio.Task[None]]:
        return [each.task for each in on_disk._shards.values() if each.task is not None]

    async def is_asked(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.asked) < times:  # noqa: ASYNC110 -- a fake of a few lines
                await asyncio.sleep(0)


async def test_the_disk_is_asked_once_for_all_who_wait(redis: Redis) -> None:
    """Who comes while it is asked waits for the next answer: what was written meanwhile may not be there yet."""
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=True)
    first = [asyncio.create_task(on_disk.has_all("a", f"dlv_{number}")) for number in range(3)]
    await disk.is_asked(1)
    later = asyncio.create_task(on_disk.has_all("a", "dlv_later"))
    disk.answers.put_nowait(None)
    assert await asyncio.gather(*first) == [True] * 3
    await disk.is_asked(2)
    assert not later.done()
    disk.answers.put_nowait(None)
    assert await later
    assert disk.asked == [keys.touched("a")] * 2
    await on_disk.finish()


async def test_shards_are_asked_by_themselves(redis: Redis) -> None:
    """A disk that keeps one of them waiting does not keep the others."""
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=True)
    both = [asyncio.create_task(on_disk.has_all(shard, shard)) for shard in "ab"]
    await disk.is_asked(2)
    assert sorted(disk.asked) == [keys.touched("a"), keys.touched("b")]
    disk.answers.put_nowait(None)
    disk.answers.put_nowait(None)
    assert await asyncio.gather(*both) == [True, True]
    await on_disk.finish()


async def test_a_slow_disks_answer_counts_for_who_comes_again(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits long: while it is asked all are told to come again, and each answer is for those who came before it was asked."""
    monkeypatch.setattr(durable, "CONFIRMED_WITHIN_S", 0.01)
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=True)
    assert not await on_disk.has_all("a", "first")
    assert on_disk.is_slow("a", "first")
    assert not await on_disk.has_all("a", "second")
    disk.answers.put_nowait(None)
    await disk.is_asked(2)  # the second one's question follows at once, whoever waits
    assert await on_disk.has_all("a", "first")
    assert not await on_disk.has_all("a", "second")
    disk.answers.put_nowait(None)
    await asyncio.gather(*disk.tasks(on_disk))
    assert not on_disk.is_slow("a", "second")
    assert await on_disk.has_all("a", "second")
    assert len(disk.asked) == 2


@pytest.mark.parametrize(
    "error", [StoreNotDurable(), StoreFull(), LostError("gone"), RuntimeError("closing")]
)
async def test_after_an_error_it_is_asked_again_a_while_later(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Meanwhile nobody waits, also who came while it was asked, and the log says it once."""
    monkeypatch.setattr(durable, "ASK_AGAIN_S", 0.05)
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=True)
    waiting = asyncio.create_task(on_disk.has_all("a", "first"))
    await disk.is_asked(1)
    with structlog.testing.capture_logs() as lines:
        both = asyncio.gather(waiting, on_disk.has_all("a", "second"))
        disk.answers.put_nowait(error)
        assert list(await both) == [False, False]
        assert not await on_disk.has_all("a", "first")
    assert [(each["event"], each["error"]) for each in lines] == [
        ("store.not_confirmed", type(error).__name__)
    ]
    assert len(disk.asked) == 1
    disk.answers.put_nowait(None)
    async with asyncio.timeout(10):
        while not await on_disk.has_all("a", "second"):  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
    await on_disk.finish()


async def test_a_question_that_nobody_waits_for_is_given_up_after_an_error(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle worker does not go on asking a store that cannot confirm."""
    monkeypatch.setattr(durable, "ASK_AGAIN_S", 0.0)
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=True)
    disk.answers.put_nowait(StoreNotDurable())
    assert not await on_disk.has_all("a", "first")
    await asyncio.gather(*disk.tasks(on_disk))
    assert len(disk.asked) == 1


async def test_what_others_have_sent_is_forgotten(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is asked for and never comes again only the newest are kept."""
    monkeypatch.setattr(durable, "MOST_NEEDS", 2)
    monkeypatch.setattr(durable, "CONFIRMED_WITHIN_S", 0.0)
    on_disk = DiskConfirmations(Disk(redis), aof=True)
    for what in ("first", "second", "third"):
        assert not await on_disk.has_all("a", what)
    assert list(on_disk._needs) == ["second", "third"]
    await on_disk.finish()


async def test_nothing_is_left_when_the_store_is_closed(redis: Redis) -> None:
    """A question that is under way is given up; nobody needs its answer."""
    tasks = asyncio.all_tasks()
    on_disk = DiskConfirmations(Disk(redis), aof=True)
    waiting = asyncio.create_task(on_disk.has_all("a", "first"))
    await asyncio.sleep(0)
    await on_disk.finish()
    assert not await waiting
    assert asyncio.all_tasks() == tasks


async def test_a_real_server_confirms(real: Redis) -> None:
    on_disk = DiskConfirmations(DurableScripts(real), aof=True)
    assert await on_disk.has_all("a", "first")
    assert await on_disk.has_all("a", "second")
    await on_disk.finish()


async def test_without_an_append_only_file_nothing_is_waited_for(redis: Redis) -> None:
    disk = Disk(redis)
    on_disk = DiskConfirmations(disk, aof=False)
    assert await on_disk.has_all("a", "first")
    assert not on_disk.is_slow("a", "first")
    assert not disk.asked

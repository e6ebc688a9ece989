"""Whether the disk has what a shard holds, and that it is asked once for all who wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostError

from bridge.store import durable, keys
from bridge.store.durable import DurabilityChecks, DurableScripts
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

    def tasks(self, checks: DurabilityChecks) -> list[asyncio.Task[None]]:
        return [each.task for each in checks._shards.values() if each.task is not None]

    async def is_asked(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.asked) < times:  # noqa: ASYNC110 -- a fake of a few lines
                await asyncio.sleep(0)


@pytest.fixture
async def disk(redis: Redis) -> Disk:
    return Disk(redis)


@pytest.fixture
async def checks(disk: Disk) -> AsyncIterator[DurabilityChecks]:
    checks = DurabilityChecks(disk, aof=True)
    yield checks
    await checks.finish()


async def test_the_disk_is_asked_once_for_all_who_wait(disk: Disk, checks: DurabilityChecks) -> None:
    """Who comes while it is asked waits for the next answer: what was written meanwhile may not be there yet."""
    first = [asyncio.create_task(checks.is_durable(f"dlv_a{number}")) for number in range(3)]
    await disk.is_asked(1)
    later = asyncio.create_task(checks.is_durable("dlv_a-later"))
    disk.answers.put_nowait(None)
    assert await asyncio.gather(*first) == [True] * 3
    await disk.is_asked(2)
    assert not later.done()
    disk.answers.put_nowait(None)
    assert await later
    assert disk.asked == [keys.touched("a")] * 2


async def test_shards_are_asked_by_themselves(disk: Disk, checks: DurabilityChecks) -> None:
    """A disk that keeps one of them waiting does not keep the others."""
    both = [asyncio.create_task(checks.is_durable(f"dlv_{shard}")) for shard in "ab"]
    await disk.is_asked(2)
    assert sorted(disk.asked) == [keys.touched("a"), keys.touched("b")]
    disk.answers.put_nowait(None)
    disk.answers.put_nowait(None)
    assert await asyncio.gather(*both) == [True, True]


async def test_a_slow_disks_answer_counts_for_who_comes_again(
    disk: Disk, checks: DurabilityChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits long: while it is asked all are told to come again, and each answer is for those who came before it was asked."""
    monkeypatch.setattr(durable, "CHECKED_WITHIN_S", 0.01)
    assert not await checks.is_durable("dlv_a-first")
    assert checks.is_slow("dlv_a-first")
    assert not await checks.is_durable("dlv_a-second")
    disk.answers.put_nowait(None)
    await disk.is_asked(2)  # the second one's check follows at once, whoever waits
    assert await checks.is_durable("dlv_a-first")
    assert not await checks.is_durable("dlv_a-second")
    disk.answers.put_nowait(None)
    await asyncio.gather(*disk.tasks(checks))
    assert not checks.is_slow("dlv_a-second")
    assert await checks.is_durable("dlv_a-second")
    assert len(disk.asked) == 2


@pytest.mark.parametrize(
    "error", [StoreNotDurable(), StoreFull(), LostError("gone"), RuntimeError("closing")]
)
async def test_after_an_error_it_is_asked_again_a_while_later(
    disk: Disk, checks: DurabilityChecks, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Meanwhile nobody waits, also who came while it was asked, and the log says it once."""
    monkeypatch.setattr(durable, "CHECK_AGAIN_S", 0.05)
    waiting = asyncio.create_task(checks.is_durable("dlv_a-first"))
    await disk.is_asked(1)
    with structlog.testing.capture_logs() as lines:
        both = asyncio.gather(waiting, checks.is_durable("dlv_a-second"))
        disk.answers.put_nowait(error)
        assert list(await both) == [False, False]
        assert not await checks.is_durable("dlv_a-first")
    assert [(each["event"], each["error"]) for each in lines] == [
        ("store.not_confirmed", type(error).__name__)
    ]
    assert len(disk.asked) == 1
    disk.answers.put_nowait(None)
    async with asyncio.timeout(10):
        while not await checks.is_durable("dlv_a-second"):  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)


async def test_a_check_that_nobody_waits_for_is_given_up_after_an_error(
    disk: Disk, checks: DurabilityChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle worker does not go on asking a store that cannot confirm."""
    monkeypatch.setattr(durable, "CHECK_AGAIN_S", 0.0)
    disk.answers.put_nowait(StoreNotDurable())
    assert not await checks.is_durable("dlv_a-first")
    await asyncio.gather(*disk.tasks(checks))
    assert len(disk.asked) == 1


async def test_what_others_have_sent_is_forgotten(
    disk: Disk, checks: DurabilityChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is asked for and never comes again only the newest are kept."""
    monkeypatch.setattr(durable, "MOST_NEEDED", 2)
    monkeypatch.setattr(durable, "CHECKED_WITHIN_S", 0.0)
    for identifier in ("dlv_a1", "dlv_a2", "dlv_a3"):
        assert not await checks.is_durable(identifier)
    assert list(checks._needed) == ["dlv_a2", "dlv_a3"]


async def test_nothing_is_left_when_the_store_is_closed(disk: Disk, checks: DurabilityChecks) -> None:
    """A check that runs is given up; nobody needs its result."""
    tasks = asyncio.all_tasks()
    waiting = asyncio.create_task(checks.is_durable("dlv_a-first"))
    await asyncio.sleep(0)
    await checks.finish()
    assert not await waiting
    assert asyncio.all_tasks() == tasks


async def test_a_real_server_confirms(real: Redis) -> None:
    checks = DurabilityChecks(DurableScripts(real), aof=True)
    assert await checks.is_durable("dlv_a-first")
    assert await checks.is_durable("dlv_a-second")
    await checks.finish()


async def test_without_an_append_only_file_nothing_is_waited_for(disk: Disk) -> None:
    checks = DurabilityChecks(disk, aof=False)
    assert await checks.is_durable("dlv_a-first")
    assert not checks.is_slow("dlv_a-first")
    assert not disk.asked

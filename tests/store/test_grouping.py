"""What is asked for in one iteration of the event loop is done together, and each task gets its own answer."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge.store.commit import Change, Committer, Guard, Put, Rank
from bridge.store.errors import STORE_ERRORS, StoreFull
from bridge.store.grouping import Grouping

WRONG_TYPE = "{a}:p:x:cbs"  # holds a string, so that no member can be ranked in it


class Doubling:
    """Doubles numbers, keeps what it was handed, and can be made to wait or fail."""

    def __init__(self) -> None:
        self.handed: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.handed.append(list(numbers))
        await self.may_answer.wait()
        if 13 in numbers:
            raise ConnectionError("all of it")
        return [ValueError("odd") if number % 2 else number * 2 for number in numbers]


async def test_what_is_asked_at_once_is_handed_over_at_once() -> None:
    """Tasks that are ready in the same iteration share a call; answers keep their order."""
    doubling = Doubling()
    grouping = Grouping(doubling, most=10)
    assert await asyncio.gather(*(grouping.ask(number) for number in (2, 4, 6))) == [4, 8, 12]
    assert await grouping.ask(8) == 16
    assert doubling.handed == [[2, 4, 6], [8]]


async def test_a_group_is_bounded() -> None:
    """What is too much for one call goes in several at the same time."""
    doubling = Doubling()
    grouping = Grouping(doubling, most=2)
    assert await asyncio.gather(*(grouping.ask(number) for number in (2, 4, 6))) == [4, 8, 12]
    assert doubling.handed == [[2, 4], [6]]


async def test_nobody_waits_for_an_earlier_group() -> None:
    """A call that takes long delays only the tasks that it is made for."""
    doubling = Doubling()
    grouping = Grouping(doubling, most=10)
    doubling.may_answer.clear()
    slow = asyncio.create_task(grouping.ask(2))
    while not doubling.handed:  # noqa: ASYNC110 -- until the call is made
        await asyncio.sleep(0)
    quick = asyncio.create_task(grouping.ask(4))
    while len(doubling.handed) < 2:  # noqa: ASYNC110 -- as above
        await asyncio.sleep(0)
    doubling.may_answer.set()
    assert [await slow, await quick] == [4, 8]


async def test_an_error_reaches_the_task_it_belongs_to() -> None:
    """One item's error is raised for that item alone, an error of the whole call for each of them."""
    grouping = Grouping(Doubling(), most=10)
    answers = await asyncio.gather(*(grouping.ask(number) for number in (2, 3, 4)), return_exceptions=True)
    assert (answers[0], type(answers[1]), answers[2]) == (4, ValueError, 8)
    answers = await asyncio.gather(*(grouping.ask(number) for number in (2, 13)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
    assert await grouping.ask(6) == 12


async def test_a_cancelled_task_does_not_disturb_the_others() -> None:
    """Its item is left out while nothing was sent; after that its answer is dropped."""
    doubling = Doubling()
    grouping = Grouping(doubling, most=10)
    early, late, other = (asyncio.create_task(grouping.ask(number)) for number in (2, 4, 6))
    await asyncio.sleep(0)
    early.cancel()
    doubling.may_answer.clear()
    while not doubling.handed:  # noqa: ASYNC110 -- until the call is made
        await asyncio.sleep(0)
    late.cancel()
    doubling.may_answer.set()
    assert await other == 12
    assert doubling.handed == [[4, 6]]
    assert early.cancelled()
    assert late.cancelled()


async def test_changes_of_one_iteration_succeed_and_fail_each_for_itself(redis: Redis) -> None:
    """A conflict or a failing script is that of one change; the others are made."""
    committer = Committer(redis, aof=False)
    await redis.set(WRONG_TYPE, b"")
    changes = [
        Change("a", (Guard("{a}:j:1", None),), (Put("{a}:j:1", b"1"),)),
        Change("a", (Guard("{a}:j:2", b"gone"),), (Put("{a}:j:2", b"2"),)),
        Change("a", (), (Rank(WRONG_TYPE, "cb_1", 1),)),
        Change("a", (Guard("{a}:j:3", None),), (Put("{a}:j:3", b"3"),)),
    ]
    answers = await asyncio.gather(*map(committer.commit, changes), return_exceptions=True)
    assert (answers[0], answers[1], answers[3]) == ("done", "conflict", "done")
    assert isinstance(answers[2], ResponseError)
    assert await redis.mget("{a}:j:1", "{a}:j:2", "{a}:j:3") == [b"1", None, b"3"]


async def test_changes_of_one_iteration_share_a_round_trip(real: Redis) -> None:
    """The server gets all of their scripts in a few reads, over one connection."""
    committer = Committer(real, aof=False)
    await committer.commit(Change("a", (), ()))
    before = (await real.info("stats"))["total_reads_processed"]
    await asyncio.gather(*(committer.commit(Change("a", (), (Put(f"k{n}", b"v"),))) for n in range(20)))
    after = (await real.info("stats"))["total_reads_processed"]
    assert after - before < 20
    assert (await real.info("clients"))["connected_clients"] == 1


async def test_durable_changes_of_one_iteration_share_the_wait_for_the_disk(real: Redis) -> None:
    """One WAITAOF is enough for all of them, and a conflict beside them is still a conflict."""
    committer = Committer(real, aof=True)
    await committer.commit(Change("a", (), (Put("{a}:j:0", b"0"),)), new_work=True, durable=True)
    await real.config_resetstat()
    changes = [Change("a", (Guard(f"{{a}}:j:{n}", None),), (Put(f"{{a}}:j:{n}", b"1"),)) for n in range(4)]
    done = await asyncio.gather(*(committer.commit(each, new_work=True, durable=True) for each in changes))
    assert done == ["conflict", "done", "done", "done"]
    assert (await real.info("commandstats"))["cmdstat_waitaof"]["calls"] == 1


async def test_a_full_store_refuses_new_work_beside_what_goes_on(real: Redis) -> None:
    """What is new and what is in progress never share a fate."""
    committer = Committer(real, aof=False)
    await real.config_set("maxmemory", "1")
    try:
        new, old = await asyncio.gather(
            committer.commit(Change("a", (), (Put("{a}:j:1", b"1"),)), new_work=True),
            committer.commit(Change("a", (), (Put("{a}:j:2", b"1"),))),
            return_exceptions=True,
        )
    finally:
        await real.config_set("maxmemory", "0")
    assert isinstance(new, StoreFull)
    assert old == "done"
    assert await real.mget("{a}:j:1", "{a}:j:2") == [None, b"1"]


async def test_every_change_fails_that_finds_no_store(tmp_path: Path) -> None:
    """Each task that waits gets the error of the connection."""
    async with Redis(unix_socket_path=str(tmp_path / "nobody")) as nowhere:
        committer = Committer(nowhere, aof=False)
        tries = (committer.commit(Change("a", (), ())) for _ in range(3))
        answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [isinstance(answer, STORE_ERRORS) for answer in answers] == [True] * 3

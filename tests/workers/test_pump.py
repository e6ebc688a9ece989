"""The pump: what it holds is never dropped, neither at a stop nor when its store goes away."""

import asyncio
import time
import weakref
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as LostError
from structlog.testing import capture_logs

from bridge.store.errors import StoreFull
from bridge.store.queue.clock import StoreClock
from bridge.store.queue.lanes import Claim, Lanes, Settled
from tests.workers.pumping import LEASE_MS, Work, add, held, is_empty, listening, running, until
from workers.feeder import CLAIMED, PAGE
from workers.pump import MOST_SETTLED, Pump


async def test_a_stop_leaves_no_lease_behind(lanes: Lanes) -> None:
    """What was begun is settled, the rest given back at once, though it is more than one page."""
    work = Work()
    await add(lanes, 900)
    async with running(lanes, work, slots=300) as pump:
        await until(lambda: len(work.begun) == 300)
        stopping = asyncio.create_task(pump.stop(grace_s=20))
        await asyncio.sleep(0.05)
        work.may_end.set()
        await stopping
    assert len(work.begun) == 300
    assert await lanes.size("a", "x") == 600
    assert await held(lanes) == 0
    assert len(work.left) == len(set(work.left))


async def test_a_stop_gives_back_what_was_loaded_and_not_begun(lanes: Lanes) -> None:
    work = Work(handed_at_once=1)
    work.may_end.set()
    await add(lanes, 1_000)
    async with running(lanes, work, slots=1_000) as pump:
        await until(lambda: work.begun)
        begun = len(work.begun)
        await pump.stop(grace_s=20)
    assert begun <= len(work.begun) < 1_000
    assert await lanes.size("a", "x") == 1_000 - len(work.begun)
    assert await held(lanes) == 0


class TurnCountingWork(Work):
    """A handler that notes in which turn of the event loop each task begins."""

    def __init__(self, *, handed_at_once: int) -> None:
        super().__init__(handed_at_once=handed_at_once)
        self.turn = 0
        self.begun_in: Counter[int] = Counter()

    def count_turns(self) -> None:
        self.turn += 1
        self.timer = asyncio.get_running_loop().call_soon(self.count_turns)

    async def work(self, task: Settled) -> Sequence[Settled]:
        self.begun_in[self.turn] += 1
        return await super().work(task)


async def test_a_page_is_begun_bit_by_bit(lanes: Lanes) -> None:
    """Each turn of the event loop stays short, so that answers of the store are read in between."""
    work = TurnCountingWork(handed_at_once=3)
    work.count_turns()
    await add(lanes, 10)
    async with running(lanes, work, slots=10):
        await until(lambda: len(work.begun) == 10)
        work.timer.cancel()
    assert list(work.begun_in.values()) == [3, 3, 3, 1]


class CancelledWork(Work):
    """A handler whose pump is cancelled in the turn in which its tasks are handed over."""

    def __init__(self, *, handed_at_once: int) -> None:
        super().__init__(handed_at_once=handed_at_once)
        self.run: asyncio.Task[None] | None = None
        self.is_cancelled_next = True

    async def load(self, shard: str, claim: Claim) -> tuple[list[Settled], list[Settled]]:
        if self.run is not None and self.is_cancelled_next:
            self.is_cancelled_next = False
            self.run.cancel()
        return await super().load(shard, claim)


@pytest.mark.parametrize("handed", [2, 1_000])
async def test_a_pump_that_runs_again_has_lost_no_task(lanes: Lanes, handed: int) -> None:
    """A slot that is cancelled before it begins leaves its task to the next one, and in its place."""
    work = CancelledWork(handed_at_once=handed)
    await add(lanes, 10)
    pump = Pump[Any](lanes, work, slots=4, clock=StoreClock(), shard_of=lambda _: "a")
    work.run = asyncio.create_task(pump.run())
    await asyncio.wait([work.run], timeout=10)
    assert work.begun == []
    work.run = asyncio.create_task(pump.run())
    work.may_end.set()
    await until(lambda: is_empty(lanes))
    assert sorted(work.begun, key=int) == [str(number) for number in range(10)]
    await pump.stop(grace_s=1)
    assert len(work.left) == 10
    work.run.cancel()
    await asyncio.gather(work.run, return_exceptions=True)


async def test_what_has_ended_meanwhile_is_settled_together(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has as many items as wait, up to what may keep the store busy at a time."""
    work = Work()
    batches: list[int] = []
    settle = lanes.settle

    async def noted(shard: str, settled: Sequence[Settled]) -> list[str]:
        batches.append(len(settled))
        return await settle(shard, settled)

    monkeypatch.setattr(lanes, "settle", noted)
    await add(lanes, MOST_SETTLED + 1)
    async with running(lanes, work, slots=MOST_SETTLED + 1):
        await until(lambda: len(work.begun) == MOST_SETTLED + 1)
        work.may_end.set()
        await until(lambda: is_empty(lanes))
    assert batches == [MOST_SETTLED, 1]


class Large:
    """A task with the records of its item, as a handler's task has."""

    def __init__(self, settled: Settled) -> None:
        self.settled = settled


class LargeWork(Work):
    """A handler that remembers its tasks without holding them."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[weakref.ref[Large]] = []

    async def load(self, shard: str, claim: Claim) -> tuple[list[Any], list[Settled]]:
        items, settled = await super().load(shard, claim)
        tasks = [Large(each) for each in items]
        self.watched += [weakref.ref(each) for each in tasks]
        return tasks, settled

    async def work(self, task: Any) -> Sequence[Settled]:
        return await super().work(task.settled)

    def leave(self, task: Any) -> bool:
        return super().leave(task.settled)


async def test_idle_slots_hold_nothing_of_the_items_they_worked_on(lanes: Lanes) -> None:
    """Hundreds of slots that keep their last item's records hold a gigabyte where those are large."""
    work = LargeWork()
    work.may_end.set()
    await add(lanes, 20)
    async with running(lanes, work, slots=4):
        await until(lambda: is_empty(lanes))
        await until(lambda: len(work.left) == 20)
        assert [each() for each in work.watched] == [None] * 20


async def test_a_stop_waits_for_a_claim_under_way(lanes: Lanes) -> None:
    """A page that is being loaded when the stop comes is given back, not forgotten."""
    work = Work(loading=asyncio.Event())
    await add(lanes, 5)
    async with running(lanes, work) as pump:
        await until(lambda: held(lanes))
        stopping = asyncio.create_task(pump.stop(grace_s=20))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        assert work.loading is not None
        work.loading.set()
        await stopping
    assert (work.begun, await held(lanes), await lanes.size("a", "x")) == ([], 0, 5)


async def test_a_stop_during_a_look_claims_nothing(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lanes that the look finds are left to other workers, and the loop that looked lets others run."""
    peek, looks, goes_on, has_looked = lanes.peek, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_peek(*, limit: int) -> list[tuple[str, str, int]]:
        looks.set()
        await goes_on.wait()
        seen = await peek(limit=limit)
        has_looked.set()
        return seen

    monkeypatch.setattr(lanes, "peek", slow_peek)
    work = Work()
    await add(lanes, 5)
    async with running(lanes, work) as pump:
        await looks.wait()
        await pump.stop(grace_s=20)
        goes_on.set()
        await has_looked.wait()
        await asyncio.sleep(0.05)
    assert (work.begun, await held(lanes), await lanes.size("a", "x")) == ([], 0, 5)


async def test_a_look_sees_further_once_nothing_but_due_lanes_was_seen(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no further than it must on a queue that waits, of which each look would read much in vain."""
    peek, limits = lanes.peek, []

    async def noted_peek(*, limit: int) -> list[tuple[str, str, int]]:
        limits.append(limit)
        return await peek(limit=limit)

    monkeypatch.setattr(lanes, "peek", noted_peek)
    work = Work(lanes_seen=300)
    work.may_end.set()
    for number in range(250):
        await add(lanes, 1, lane=f"x{number}")
    async with running(lanes, work):
        await until(lambda: len(work.begun) == 250)
        await until(lambda: limits[-1] == 200)
    assert limits[:2] == [200, 300]


class PagedWork(Work):
    """A handler that loads each page only when it may, and remembers the lanes of pages being loaded."""

    def __init__(self) -> None:
        super().__init__(loads_at_once=2)
        self.may_end.set()
        self.may_load: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.pages: list[str] = []

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        return 1, 1

    async def load(self, shard: str, claim: Claim) -> tuple[list[Settled], list[Settled]]:
        lane = claim.items[0].lane
        assert lane not in self.pages, "a lane is in one plan at a time"
        self.pages.append(lane)
        await self.may_load[lane].wait()
        self.pages.remove(lane)
        return await super().load(shard, claim)


async def test_a_page_is_claimed_and_worked_on_while_another_is_loaded(lanes: Lanes) -> None:
    """A slow load holds up nothing but its own lane, which has no second one beside it."""
    work = PagedWork()
    work.may_load["y"].set()
    await add(lanes, 3)
    async with running(lanes, work) as pump:
        await until(lambda: work.pages == ["x"])
        await add(lanes, 3, lane="y")
        await until(lambda: len(work.begun) == 3)
        assert (work.pages, await held(lanes)) == (["x"], 1)
        stopping = asyncio.create_task(pump.stop(grace_s=20))
        await until(lambda: is_empty(lanes, "y"))
        assert not stopping.done()
        work.may_load["x"].set()
        await stopping
    assert (len(work.begun), await held(lanes), await lanes.size("a", "x")) == (3, 0, 3)


async def test_what_a_store_error_interrupted_begins_anew_at_once(lanes: Lanes) -> None:
    """The item does not wait for its lease of a minute."""
    work = Work(failures=[LostError("away")])
    work.may_end.set()
    await add(lanes, 1)
    async with running(lanes, work):
        await until(lambda: len(work.begun) == 2)
        await until(lambda: is_empty(lanes))
    assert work.left == ["0", "0"]


async def test_what_a_full_store_refused_is_tried_again_soon(lanes: Lanes) -> None:
    """The item waits some seconds, not for its lease of a minute, and the log says why."""
    work = Work(failures=[StoreFull()])
    work.may_end.set()
    await add(lanes, 1)
    with capture_logs() as logs:
        async with running(lanes, work):
            await until(lambda: work.left == ["0"])
            await until(lambda: _is_waiting(lanes))
    due_ms = await lanes.due_of("a", "x", "0")
    seconds, _ = await lanes.redis.time()
    assert due_ms is not None
    assert 0 < due_ms - seconds * 1000 < LEASE_MS / 2
    assert "pump.store_full" in [each["event"] for each in logs]


async def _is_waiting(lanes: Lanes) -> bool:
    return not await held(lanes) and not await is_empty(lanes)


@pytest.mark.parametrize("failure", [LostError("away"), StoreFull(), ValueError("a record is broken")])
async def test_a_page_that_could_not_be_loaded_is_claimed_again_soon(
    lanes: Lanes, failure: Exception
) -> None:
    """Whatever the error was, its items do not wait for their lease of a minute."""
    work = Work(load_failures=[failure])
    work.may_end.set()
    await add(lanes, 3)
    async with running(lanes, work):
        await until(lambda: is_empty(lanes))
    assert sorted(work.begun) == ["0", "1", "2"]


async def test_a_late_answer_is_kept_until_it_is_looked_at(lanes: Lanes) -> None:
    """A store that goes away between the fencing and the look at it costs no 2xx."""
    work = Work(late_failures=[LostError("away"), LostError("away")])
    await add(lanes, 1)
    async with running(lanes, work):
        await until(lambda: work.begun == ["0"])
        await lanes.redis.zadd("{a}:dlv:q:x", {"0": -9e15})  # somebody else's lease
        work.may_end.set()
        await until(lambda: work.late == ["0"])


async def test_what_waited_too_long_is_given_back_and_counts_for_no_pace(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow slots must not look fast because they let go of what they could not begin."""
    monkeypatch.setattr("workers.pump.STALE_S", -1.0)
    work = Work()
    await add(lanes, PAGE)
    async with running(lanes, work):
        while len(work.left) < 20 * PAGE:  # noqa: ASYNC110 -- the work has no event to wait on
            await asyncio.sleep(0)
    assert work.begun == []
    assert set(work.wished) == {CLAIMED}


async def time_one_by_one(lanes: Lanes, work: Work, count: int) -> float:
    """How long it takes to add items to an empty queue, each once the last one has left it."""
    began = time.monotonic()
    for _ in range(count):
        await add(lanes, 1)
        await until(lambda: is_empty(lanes))
    return time.monotonic() - began


async def test_a_pump_that_sleeps_is_woken_by_an_item(lanes: Lanes) -> None:
    """It looks only twice a second by itself; even where each message is lost, the item comes."""
    work = Work()
    work.may_end.set()
    async with running(lanes, work):
        alone_s = await time_one_by_one(lanes, work, 5)
        async with listening(lanes):
            woken_s = await time_one_by_one(lanes, work, 5)
    assert len(work.begun) == 10
    assert woken_s < alone_s / 3


async def test_an_empty_queue_is_looked_at_once_a_second(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wake-ups tell of what is due before; these looks are for those that got lost."""
    looks: list[float] = []
    peek = lanes.peek

    async def noted(**options: int) -> list[tuple[str, str, int]]:
        looks.append(time.monotonic())
        return await peek(**options)

    monkeypatch.setattr(lanes, "peek", noted)
    async with running(lanes, Work(), slots=1):
        await asyncio.sleep(3.2)
    assert 3 <= len(looks) <= 6, "one at the start, then three or four; twice as often it would be seven"

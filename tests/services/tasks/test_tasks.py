"""Tasks: one attempt at a time, each step under its number, one task of a project at a time, an end for whoever asks."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import DeliveryState
from bridge.domain.tasks import LEASE_MS, MOST_STALLS, Task, TaskState, TaskStep, begin_attempt
from bridge.domain.times import iso_ms
from bridge.errors import NotFound
from bridge.services.context import Services
from bridge.services.tasks import kinds
from bridge.services.tasks.attempt import run_attempt
from bridge.services.tasks.kinds import RECONCILE, TaskCall
from bridge.services.tasks.start import OWN_S, create_task
from bridge.store import feed_keys, task_keys
from bridge.store.tables.tasks import MOST_OPEN
from tests.api.serving import tell
from tests.services.endpoints.standing import create, end_job
from tests.services.polling.upstreams import Bench

KIND = "tests.count"
PROJECT = "prj_default"


class Counting:
    """A kind of task that counts to a number, and may be held in a step."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done: list[tuple[str, bool]] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fails = False

    async def __call__(self, services: Services, call: TaskCall) -> TaskStep:
        del services
        at = int(call.task.cursor or 0)
        self.begun.set()
        await self.go_on.wait()
        if self.fails:
            raise TimeoutError
        self.done.append((call.task.cursor, call.repeats))
        return TaskStep(looked=2, count=1, cursor=None if at + 1 >= self.steps else str(at + 1))


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting(3)
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, KIND: counting})
    monkeypatch.setattr("bridge.services.tasks.attempt.KINDS", kinds.KINDS)
    return counting


async def load(bench: Bench, task: Task) -> Task:
    found = await bench.api.services.store.tasks.load(task.project, task.id)
    assert found is not None
    return found.record


async def make(bench: Bench) -> Task:
    return await create_task(bench.api.services, PROJECT, KIND, {}, total=6)


async def run(bench: Bench, task: Task, **options: Any) -> None:
    await run_attempt(bench.api.services, PROJECT, task.id, for_s=options.pop("for_s", 30), **options)


async def test_a_task_is_done_step_by_step(bench: Bench, counting: Counting) -> None:
    task = await make(bench)
    _, before = await bench.api.call("GET", f"/v1/tasks/{task.id}")
    assert (before["state"], before["total"], before["started_at"]) == ("queued", 6, None)
    await run(bench, task)
    assert counting.done == [("", False), ("1", False), ("2", False)]
    _, view = await bench.api.call("GET", f"/v1/tasks/{task.id}")
    assert {name: view[name] for name in ("state", "looked_at", "count", "resumed", "error")} == {
        "state": "succeeded",
        "looked_at": 6,
        "count": 3,
        "resumed": 0,
        "error": None,
    }
    assert view["ended_at"] >= view["started_at"] >= view["created_at"]
    assert view["per_second"] > 0
    await run(bench, task)
    assert len(counting.done) == 3, "what has ended is left alone"
    store = bench.api.services.store
    assert 0 < await store.redis.pttl(task_keys.task(PROJECT, task.id)) <= 7 * 86_400_000
    assert list(await store.tasks.list_first()) == []


async def test_an_attempt_goes_on_where_the_last_one_died(bench: Bench, counting: Counting) -> None:
    """Once its lease has ended, not before; the first step may have been done, and is told so."""
    task = await make(bench)
    tasks, now_ms = bench.api.services.store.tasks, bench.api.services.clock_ms()
    made = await tasks.load(PROJECT, task.id)
    assert made is not None
    begun = begin_attempt(made.record, now_ms=now_ms)
    assert begun.lease_ms == now_ms + LEASE_MS
    assert await tasks.swap(made, begun, keep_ms=1) == "done"
    await run(bench, task)
    assert counting.done == [], "its worker has it to itself"
    held = await tasks.load(PROJECT, task.id)
    assert held is not None
    assert await tasks.swap(held, replace(held.record, lease_ms=now_ms - 1), keep_ms=1) == "done"
    await run(bench, task, number=1)
    assert counting.done == [], "the number of an attempt that has begun"
    await run(bench, task, number=2)
    assert counting.done == [("", True), ("1", False), ("2", False)]
    done = await load(bench, task)
    assert (done.state, done.attempt, done.count) == (TaskState.SUCCEEDED, 2, 3)


async def test_who_is_too_slow_writes_nothing_and_stops(bench: Bench, counting: Counting) -> None:
    task = await make(bench)
    counting.go_on.clear()
    slow = asyncio.create_task(run(bench, task))
    await counting.begun.wait()
    tasks = bench.api.services.store.tasks
    held = await tasks.load(PROJECT, task.id)
    assert held is not None
    other = replace(held.record, attempt=2, cursor="1", count=1)
    assert await tasks.swap(held, other, keep_ms=1) == "done"
    counting.go_on.set()
    await slow
    assert len(counting.done) == 1
    assert await load(bench, task) == other


async def test_an_attempt_that_is_stopped_lets_go_at_once(bench: Bench, counting: Counting) -> None:
    task = await make(bench)
    counting.go_on.clear()
    stopped = asyncio.create_task(run(bench, task))
    await counting.begun.wait()
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    counting.go_on.set()
    await run(bench, task)
    assert (await load(bench, task)).state is TaskState.SUCCEEDED


async def test_one_task_of_a_project_runs_at_a_time(bench: Bench, counting: Counting) -> None:
    """In the order in which they were made; another project's does not wait."""
    first, second = await make(bench), await make(bench)
    await run(bench, second)
    assert counting.done == []
    store = bench.api.services.store
    elsewhere = await create_task(bench.api.services, "prj_other", KIND, {})
    assert {each.id for each in await store.tasks.list_first()} == {first.id, elsewhere.id}
    await run(bench, first)
    await run(bench, second)
    assert (await load(bench, second)).state is TaskState.SUCCEEDED
    _, page = await bench.api.call("GET", "/v1/tasks?limit=1")
    assert [each["id"] for each in page["data"]] == [second.id]
    _, page = await bench.api.call("GET", f"/v1/tasks?cursor={page['next_cursor']}")
    assert [each["id"] for each in page["data"]] == [first.id]
    assert (await bench.api.call("GET", f"/v1/tasks/{elsewhere.id}"))[0] == 404
    assert (await bench.api.call("POST", f"/v1/tasks/{elsewhere.id}/cancel"))[0] == 404


async def test_a_task_is_cancelled_at_once_or_after_its_step(bench: Bench, counting: Counting) -> None:
    waiting = await make(bench)
    status, view = await bench.api.call("POST", f"/v1/tasks/{waiting.id}/cancel")
    assert (status, view["state"]) == (200, "cancelled")
    running = await make(bench)
    counting.go_on.clear()
    attempt = asyncio.create_task(run(bench, running))
    await counting.begun.wait()
    status, view = await bench.api.call("POST", f"/v1/tasks/{running.id}/cancel")
    assert (status, view["state"], view["cancel_requested"]) == (200, "running", True)
    counting.go_on.set()
    await attempt
    assert len(counting.done) == 1
    ended = await load(bench, running)
    assert (ended.state, ended.count) == (TaskState.CANCELLED, 1)
    _, again = await bench.api.call("POST", f"/v1/tasks/{running.id}/cancel")
    assert again["state"] == "cancelled"


async def test_attempts_without_a_step_are_not_made_for_ever(bench: Bench, counting: Counting) -> None:
    """A store that is away interrupts an attempt; after five in a row the task has failed and says why."""
    task = await make(bench)
    counting.fails = True
    for _ in range(MOST_STALLS):
        await run(bench, task)
        assert (await load(bench, task)).state is TaskState.RUNNING
    await run(bench, task)
    failed = await load(bench, task)
    assert (failed.state, failed.attempt) == (TaskState.FAILED, MOST_STALLS)
    assert failed.error == "5 attempts made no progress: TimeoutError"


async def test_what_cannot_be_done_fails_at_once(bench: Bench, counting: Counting) -> None:
    async def refuse(services: Services, call: TaskCall) -> TaskStep:
        raise NotFound("there is no endpoint ep_1 in this project")

    task = await make(bench)
    kinds.KINDS[KIND] = refuse  # type: ignore[index]  # the fixture's own copy
    await run(bench, task)
    failed = await load(bench, task)
    assert (failed.state, failed.error) == (TaskState.FAILED, "there is no endpoint ep_1 in this project")
    del counting


async def test_a_project_may_have_so_many(bench: Bench, counting: Counting) -> None:
    for _ in range(MOST_OPEN):
        await make(bench)
    status, body = await bench.api.call("POST", "/v1/deliveries/recover", json={"since": iso_ms(0)})
    assert (status, "too many tasks" in body["error"]["message"]) == (429, True)
    del counting


async def test_recover_says_which_task_it_is(bench: Bench) -> None:
    """A request works on its task itself, so that it needs no worker for what is done in a moment."""
    made = await bench.api.register(job_id="a")
    _, delivery = await tell(bench.api, made)
    status, body = await bench.api.call("POST", "/v1/deliveries/recover", json={"since": iso_ms(0)})
    assert (status, body["count"], body["state"]) == (200, 0, "succeeded")
    _, task = await bench.api.call("GET", f"/v1/tasks/{body['task_id']}")
    assert (task["kind"], task["state"], task["looked_at"], task["total"]) == (
        "deliveries.recover",
        "succeeded",
        1,
        1,
    )
    loaded = await bench.api.services.store.load_delivery(delivery)
    assert loaded is not None
    assert loaded.record.state is DeliveryState.PENDING
    assert OWN_S > 0


async def test_what_a_receiver_lacks_beyond_a_thousand_is_sent_by_a_task(bench: Bench) -> None:
    """Its ids are kept with the task, and gone when it has ended."""
    key = await end_job(bench, "s1")
    endpoint = await create(bench)
    (event,) = [each for each, _ in await bench.api.services.store.feed.read(PROJECT, after=0)]
    store = bench.api.services.store
    raw = await store.redis.get(f"{{{key[0]}}}:e:{event}")
    ids = [f"evt_a{'b' * 21}{number:04}".translate(str.maketrans("0189", "wxyz")) for number in range(1200)]
    for each in ids:
        await store.redis.set(f"{{a}}:e:{each}", raw.replace(event.encode(), each.encode()))
    await store.feed.publish(PROJECT, ids)
    known = ids[-50:]
    status, answer = await bench.api.call(
        "POST",
        "/v1/events/reconcile",
        json={"ids": known, "since": iso_ms(0), "endpoint_id": endpoint},
    )
    assert (status, answer["next_cursor"]) == (200, None)
    (task,) = [each for each in await store.tasks.list(PROJECT) if each.kind == RECONCILE]
    assert task.id == answer["task_id"]
    assert await store.tasks.load_input(PROJECT, task.id) is not None
    await run_attempt(bench.api.services, PROJECT, task.id, for_s=30)
    done = await load(bench, task)
    assert done.state is TaskState.SUCCEEDED
    assert answer["count"] + done.count == 1201 - len(known)
    assert await store.tasks.load_input(PROJECT, task.id) is None
    await store.redis.delete(feed_keys.feed(PROJECT))

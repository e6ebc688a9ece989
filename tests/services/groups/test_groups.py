"""Several jobs under one callback: it hears once, when all of them have ended."""

import pytest

from bridge.domain.ids import job_key
from bridge.services.jobs.new_events import GROUP_AFTER_MS
from bridge.services.jobs.retention import end_retention
from bridge.store.queue.heartbeats import WORKERS
from bridge.store.unit_of_work import UnitOfWork
from tests.services.groups.grouped import (
    URL,
    closings,
    end_hold,
    key_of,
    look,
    look_until_closed,
    register_group,
    send_all,
    show,
    shown,
    turn_now,
)
from tests.services.polling.upstreams import Bench


async def test_a_group_closes_once_all_have_ended(bench: Bench) -> None:
    """One callback, one event with every job as its own event shows it, and nothing before."""
    show(bench, "a")
    show(bench, "b", "running")
    show(bench, "c", "failed", error_message="source account is private")
    made = await register_group(bench, "a", "b", "c")
    assert (made["kind"], made["progress"]) == ("job_group", {"total": 3, "ended": 0})
    await look(bench, made, "a", "b", "c")
    assert (await shown(bench, made))["progress"] == {"total": 3, "ended": 2}
    assert await closings(bench) == []
    show(bench, "b")
    await look(bench, made, "b")
    (closing,) = await closings(bench)
    assert (closing["outcome"], closing["summary"]) == ("partial", {"total": 3, "completed": 2, "failed": 1})
    assert closing["error"]["items"] == ["c"]
    jobs = closing["data"]["jobs"]
    assert [each["id"] for each in jobs] == ["a", "b", "c"]
    _, page = await bench.api.call("GET", "/v1/events?kind=sync_job")
    own = {each["job_id"]: each for each in page["data"] if each["outcome"]}
    for each in jobs:
        assert each["event_id"] == own[each["id"]]["id"]
        assert {name: each[name] for name in ("status", "outcome", "error", "data")} == {
            name: own[each["id"]][name] for name in ("status", "outcome", "error", "data")
        }
    assert (await shown(bench, made))["state"] == "ended"
    _, sent = await bench.api.call("GET", f"/v1/deliveries?callback_id={made['id']}")
    assert [each["event_id"] for each in sent["data"]] == [closing["id"]]
    assert (
        await bench.api.services.store.poll.due_of(key_of(made)[0], made["account_id"], key_of(made)) is None
    )


async def test_a_member_that_ends_puts_its_group_into_the_queue(bench: Bench) -> None:
    """In the same step, so that whatever dies behind it the group looks at its members at once."""
    show(bench, "a", "running")
    made = await register_group(bench, "a")
    await look(bench, made, "a")
    now_ms = bench.api.services.clock_ms()
    assert await bench.due_ms(key_of(made)) > now_ms + 60_000, "else it looks now and then"
    show(bench, "a")
    await turn_now(bench, job_key(key_of(made)[0], made["account_id"], "sync_job", "a"))
    assert await bench.due_ms(key_of(made)) <= bench.api.services.clock_ms() + GROUP_AFTER_MS


async def test_members_that_ended_before_count(bench: Bench) -> None:
    """A job that had its event before the group was registered is shown by that event, not by a second one."""
    show(bench, "a")
    await bench.register("a", "sync_job")
    await bench.turn()
    made = await register_group(bench, "a")
    await look(bench, made, "a")
    (closing,) = await closings(bench)
    (row,) = closing["data"]["jobs"]
    _, page = await bench.api.call("GET", "/v1/events?kind=sync_job")
    assert [each["id"] for each in page["data"]] == [row["event_id"]]
    assert closing["outcome"] == "succeeded"


async def test_a_repeated_registration_updates_the_group(bench: Bench) -> None:
    """In any order of the ids; another URL is another group, and after the end the same one closes anew."""
    show(bench, "a")
    show(bench, "b", "running")
    made = await register_group(bench, "a", "b", callback_url=URL, metadata={"n": 1})
    await look(bench, made, "a", "b")
    repeat = {"job_ids": "b,a", "wait_for": "all", "callback_url": URL, "metadata": {"n": 2}}
    status, again = await bench.api.call("POST", "/v1/callbacks", json=repeat)
    assert (status, again["id"], again["updated"], again["metadata"]) == (200, made["id"], True, {"n": 2})
    other = await register_group(bench, "a", "b")
    assert other["job_id"] != made["job_id"]
    show(bench, "b")
    await look(bench, made, "a", "b")
    await look(bench, other)
    assert sorted(each["job_id"] for each in await closings(bench)) == sorted(
        [made["job_id"], other["job_id"]]
    )
    await end_hold(bench, key_of(made))
    status, anew = await bench.api.call("POST", "/v1/callbacks", json=repeat)
    assert (status, anew["job_id"], anew["id"] != made["id"]) == (201, made["job_id"], True)
    await look(bench, anew, "a", "b")
    runs = [each["run"] for each in await closings(bench) if each["job_id"] == made["job_id"]]
    assert runs == [1, 2]


async def test_a_member_that_timed_out_is_unknown_and_may_end_late(hasty: Bench) -> None:
    """The group closes by the longest deadline; the real ending follows as one event of the job, marked late."""
    show(hasty, "a")
    show(hasty, "b", "running")
    made = await register_group(hasty, "a", "b")
    await look_until_closed(hasty, made, "a", "b")
    (closing,) = await closings(hasty)
    assert (closing["outcome"], closing["error"]["code"]) == ("unknown", "watch_timeout")
    assert [each["outcome"] for each in closing["data"]["jobs"]] == ["succeeded", "unknown"]
    assert closing["data"]["jobs"][1]["type"] == "sync_job.timed_out"
    show(hasty, "b")
    await look(hasty, made, "b")
    assert len(await closings(hasty)) == 1, "never a second closing"
    _, sent = await hasty.api.call("GET", f"/v1/deliveries?callback_id={made['id']}")
    late, first = sent["data"]
    assert first["event_id"] == closing["id"]
    _, event = await hasty.api.call("GET", f"/v1/events/{late['event_id']}")
    assert (event["type"], event["job_id"]) == ("sync_job.completed", "b")
    await look(hasty, made)
    _, sent = await hasty.api.call("GET", f"/v1/deliveries?callback_id={made['id']}")
    assert len(sent["data"]) == 2
    _, line = await hasty.api.call("GET", f"/v1/callbacks/{made['id']}/timeline")
    assert "Looked at the jobs: 2 of 2 ended." in [each["text"] for each in line["entries"]]


@pytest.mark.parametrize("late", [True, False])
async def test_a_late_ending_is_not_wanted(hasty: Bench, *, late: bool) -> None:
    """With `late: false` it is dropped, and the job is not read on for it."""
    show(hasty, "b", "running")
    made = await register_group(hasty, "b", late=late)
    await look_until_closed(hasty, made, "b")
    show(hasty, "b")
    await look(hasty, made, "b")
    _, sent = await hasty.api.call("GET", f"/v1/deliveries?callback_id={made['id']}")
    assert len(sent["data"]) == 1 + late


async def test_deleting_the_callback_ends_the_watches(bench: Bench) -> None:
    """The members are not read any more, and nothing is told."""
    show(bench, "a", "running")
    show(bench, "b", "running")
    made = await register_group(bench, "a", "b")
    await look(bench, made, "a", "b")
    _, gone = await bench.api.call("DELETE", f"/v1/callbacks/{made['id']}")
    assert gone == {"id": made["id"], "deleted": True}
    assert await bench.api.services.store.poll.size(key_of(made)[0], made["account_id"]) == 0
    assert await closings(bench) == []


async def test_a_new_time_out_counts_for_the_members(bench: Bench) -> None:
    """PATCH changes the group's callback, and the watches of those that are open."""
    show(bench, "a", "running")
    made = await register_group(bench, "a")
    await look(bench, made, "a")
    path = f"/v1/callbacks/{made['id']}"
    status, changed = await bench.api.call("PATCH", path, json={"timeout_seconds": 1})
    assert (status, changed["timeout_seconds"]) == (200, 1.0)
    await look_until_closed(bench, made, "a")
    (closing,) = await closings(bench)
    assert closing["outcome"] == "unknown"


async def test_no_list_shows_the_watches(bench: Bench) -> None:
    """One registration is one callback, also where the callbacks of a member are asked for or deleted."""
    show(bench, "a", "running")
    made = await register_group(bench, "a", "b", callback_url=URL)
    own = await bench.api.register(job_id="a")
    _, listed = await bench.api.call("GET", "/v1/callbacks")
    assert [each["id"] for each in listed["data"]] == [own["id"], made["id"]]
    _, listed = await bench.api.call("GET", "/v1/callbacks?kind=job_group")
    assert [each["id"] for each in listed["data"]] == [made["id"]]
    _, listed = await bench.api.call("GET", f"/v1/callbacks?job_id={made['job_id']}")
    assert [each["id"] for each in listed["data"]] == [made["id"]]
    _, gone = await bench.api.call("DELETE", "/v1/callbacks?job_id=a")
    assert gone["count"] == 1
    assert (await shown(bench, made))["state"] == "watching"


async def test_every_form_of_the_closing_is_sent(bench: Bench) -> None:
    """`flat` has each of the first jobs in fields of its own."""
    show(bench, "a")
    made = await register_group(bench, "a", payload="flat", metadata={"order": "42"})
    await look(bench, made, "a")
    _, page = await bench.api.call("GET", f"/v1/deliveries?callback_id={made['id']}")
    sent = await send_all(bench, key_of(made))
    assert sent == [made["id"]]
    _, inbox = await bench.api.call("GET", "/v1/inbox")
    (body,) = [each["body"] for each in inbox["data"]]
    assert (body["type"], body["data_jobs_count"], body["job_1_id"]) == ("job_group.ended", 1, "a")
    assert (body["job_1_outcome"], body["metadata_order"]) == ("succeeded", "42")
    assert page["data"][0]["event_id"] == body["id"]


async def test_a_group_is_removed_with_its_retention_and_leaves_its_members_events(hasty: Bench) -> None:
    """The late event that it passed on belongs to the job."""
    show(hasty, "b", "running")
    made = await register_group(hasty, "b")
    await look_until_closed(hasty, made, "b")
    show(hasty, "b")
    await look(hasty, made, "b")
    store, key = hasty.api.services.store, key_of(made)
    await send_all(hasty, key)
    loaded = await store.load_job(key)
    assert loaded is not None
    unit = UnitOfWork(key[0], now_ms=1, retention_s=1)
    unit.keep_ended(key, loaded, until_ms=1)
    assert await store.committer.commit(unit.change()) == "done"
    assert await end_retention(hasty.api.services, key[0]) == 1
    assert await store.load_job(key) is None
    _, page = await hasty.api.call("GET", "/v1/events?kind=sync_job")
    assert [each["type"] for each in page["data"]][:2] == ["sync_job.completed", "sync_job.timed_out"]


@pytest.mark.parametrize(
    "lists",
    [
        (WORKERS,),
        (WORKERS, f"{WORKERS}:endpoints"),  # a version that has endpoints, and no groups
    ],
)
async def test_a_group_waits_until_no_process_of_an_earlier_version_runs(
    bench: Bench, lists: tuple[str, ...]
) -> None:
    """Its worker would not know what to do at the group's turn."""
    services = bench.api.services
    for each in lists:
        await services.store.redis.zadd(each, {"old": services.clock_ms()})
    body = {"job_ids": ["a"], "wait_for": "all", "callback_url": "inbox:"}
    status, answer = await bench.api.call("POST", "/v1/callbacks", json=body)
    assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    await services.store.redis.zrem(WORKERS, "old")
    await register_group(bench, "a")


async def test_objects_that_are_too_large_together_are_left_out(bench: Bench) -> None:
    """How each job ended is told all the same, and its own event has the whole."""
    for job_id in ("a", "b"):
        show(bench, job_id, note="x" * 140_000)
    made = await register_group(bench, "a", "b")
    await look(bench, made, "a", "b")
    (closing,) = await closings(bench)
    assert closing["bridge"]["truncated"] is True
    assert [each["data"] for each in closing["data"]["jobs"]] == [{"id": "a"}, {"id": "b"}]
    assert [each["outcome"] for each in closing["data"]["jobs"]] == ["succeeded", "succeeded"]
    _, own = await bench.api.call("GET", f"/v1/events/{closing['data']['jobs'][0]['event_id']}")
    assert len(own["data"]["note"]) == 140_000

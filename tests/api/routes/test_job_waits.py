"""`GET /v1/jobs/{kind}/{id}?wait`: what starts a watch, when a waiting request is answered, and what it costs."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.api.app import build_app
from bridge.api.routing import API
from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.subscriptions.callback import CallbackState
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import Client, running

JOB = "/v1/jobs/sync_job/a"


async def change(api: Client, callback: str, **fields: Any) -> None:
    """Write a job's record as a worker would, its callbacks closed where it has ended."""
    key = read_callback_job(callback)
    assert key is not None
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    job: Job = replace(loaded.record, **fields)
    if job.state is JobState.ENDED:
        ended = tuple(
            replace(each, state=CallbackState.ENDED, notified_run=job.run) for each in job.callbacks
        )
        job = replace(job, callbacks=ended)
    unit = UnitOfWork(key[0], now_ms=api.services.clock_ms(), retention_s=3600)
    unit.put_job(key, job, loaded)
    assert await api.services.store.committer.commit(unit.change()) == "done"


async def end(api: Client, callback: str, word: str = "completed") -> None:
    await change(api, callback, state=JobState.ENDED, ending=word, status=word)


async def watch_of(api: Client, job_id: str = "a") -> dict[str, Any]:
    """Return the one callback of a job once there is one."""
    async with asyncio.timeout(10):
        while True:
            _, page = await api.call("GET", f"/v1/callbacks?job_id={job_id}")
            if page["data"]:
                (found,) = page["data"]
                return dict(found)


async def test_a_job_that_nobody_watches_is_watched_from_then_on(api: Client) -> None:
    """As by a registration, to which nothing is sent; a second request finds it watched."""
    status, body = await api.call("GET", f"{JOB}?wait=0.1")
    assert (status, body["state"], body["polls"], body["data"]) == (200, "watching", 0, None)
    watch = await watch_of(api)
    assert (watch["callback_url"], watch["state"], watch["once"]) == ("wait:", "watching", True)
    assert None not in (watch["next_poll_at"], watch["expires_at"])
    assert (await api.call("GET", f"{JOB}?wait=0.1"))[0] == 200
    assert (await watch_of(api))["id"] == watch["id"]


async def test_it_is_answered_when_the_job_ends(api: Client) -> None:
    """Also where no new event says so; and at once when it has ended before."""
    waiting = asyncio.create_task(api.call("GET", f"{JOB}?wait=55"))
    watch = await watch_of(api)
    assert not waiting.done()
    await end(api, watch["id"])
    status, body = await asyncio.wait_for(waiting, 10)
    assert (status, body["state"], body["ending"]) == (200, "ended", "completed")
    status, body = await asyncio.wait_for(api.call("GET", f"{JOB}?wait=55"), 5)
    assert (status, body["ending"]) == (200, "completed")


async def test_a_time_out_is_an_answer(api: Client) -> None:
    """The job's end is still unknown then; who asks again waits again."""
    waiting = asyncio.create_task(api.call("GET", f"{JOB}?wait=55"))
    watch = await watch_of(api)
    await change(api, watch["id"], state=JobState.TAIL, ending="timed_out")
    _, body = await asyncio.wait_for(waiting, 10)
    assert (body["state"], body["ending"]) == ("tail", "timed_out")


async def test_an_old_ending_does_not_answer_who_expects_a_new_run(api: Client) -> None:
    """A callback with `expect: new_run` says that the ending seen before does not count."""
    made = await api.register(generated_post_id="p")
    await end(api, made["id"])
    await api.register(generated_post_id="p", expect="new_run", callback_url="inbox:again")
    waiting = asyncio.create_task(api.call("GET", "/v1/jobs/generated_post/p?wait=1.5"))
    done, _ = await asyncio.wait((waiting,), timeout=0.7)
    assert not done
    assert (await waiting)[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/jobs/sync_job/..%2Fkeys?wait=1", 400),  # ids are put into the provider's paths
        ("/v1/jobs/publishing_delivery/d?wait=1", 400),
        ("/v1/jobs/nothing/d?wait=1", 400),
        (f"{JOB}?wait=1&account_id=acc_none", 400),
        (f"{JOB}?wait=56", 400),
        (f"{JOB}?wait=-1", 400),
    ],
)
async def test_what_cannot_be_watched_is_refused(api: Client, path: str, status: int) -> None:
    """As its registration would be."""
    assert (await api.call("GET", path))[0] == status


async def test_the_scope_read_waits_for_watched_jobs_alone(api: Client) -> None:
    """It starts no watch; register does."""
    _, made = await api.call("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]})
    reader = {"X-API-Key": made["key"]}
    assert (await api.call("GET", f"{JOB}?wait=5", headers=reader))[0] == 404
    callback = await api.register(job_id="a")
    waiting = asyncio.create_task(api.call("GET", f"{JOB}?wait=55", headers=reader))
    await end(api, callback["id"])
    assert (await asyncio.wait_for(waiting, 10))[1]["ending"] == "completed"


async def test_a_watch_is_deleted_and_not_changed(api: Client) -> None:
    """It has no URL to which anything could go."""
    await api.call("GET", f"{JOB}?wait=0.1")
    watch = await watch_of(api)
    status, body = await api.call("PATCH", f"/v1/callbacks/{watch['id']}", json={"callback_url": "inbox:"})
    assert (status, body["error"]["code"]) == (409, "CONFLICT")
    _, timeline = await api.call("GET", f"/v1/callbacks/{watch['id']}/timeline")
    assert "a request waits for its end" in timeline["entries"][0]["text"]
    assert (await api.call("DELETE", f"/v1/callbacks/{watch['id']}"))[0] == 200


async def test_a_process_that_stops_says_when_to_ask_again(api: Client) -> None:
    """At once, with a 503 that any client repeats."""
    app = build_app(api.services)
    async with running(app) as url, Client.session() as http:
        other = Client(http, url, api.services)
        waiting = asyncio.create_task(other.ask("GET", f"{JOB}?wait=55"))
        await watch_of(api)
        app[API].long_polls.end_all()
        status, body, headers = await asyncio.wait_for(waiting, 5)
    assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "SERVICE_UNAVAILABLE", "1")


async def test_many_waiting_requests_read_their_jobs_together(api: Client) -> None:
    """Fifty that wait for fifty jobs ask the store a few times a second, as long polls for events do."""
    async with Client.session() as http:
        client = Client(http, api.url, api.services)
        tasks = [
            asyncio.create_task(client.call("GET", f"/v1/jobs/sync_job/j{n}?wait=20")) for n in range(50)
        ]
        for n in range(50):
            await watch_of(api, f"j{n}")
        await asyncio.sleep(0.5)
        before = (await api.services.store.redis.info("stats"))["total_commands_processed"]
        await asyncio.sleep(1)
        after = (await api.services.store.redis.info("stats"))["total_commands_processed"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert after - before < 40

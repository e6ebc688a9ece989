"""Providers' own webhooks as wake-up calls: what they name is read at once, and nothing else of them is used."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.store.queue.lanes import Settled
from tests.api.serving import KEY
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

FAR_MS = 600_000
JOB = "/v1/sync-jobs/s1"
NATIVE = {"event": "sync_job.completed", "data": {"id": "s1", "status": "completed"}}


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


async def watch(bench: Bench) -> str:
    """Register the job, let the bridge read it once, and make it due much later; return its key."""
    bench.upstream.lay(JOB, {"data": {"id": "s1", "status": "running"}})
    key = await bench.register("s1", "sync_job")
    assert await bench.turn() == [JOB]
    await bench.put_off(key, FAR_MS)
    return key


async def wake(bench: Bench, notice: Any, query: str = "") -> int:
    status, body = await bench.api.call("POST", f"/v1/wake-ups{query}", json=notice)
    assert (status, body["object"]) == (200, "wake_up"), body
    return int(body["woken"])


async def test_a_named_job_is_read_once_and_at_once(bench: Bench) -> None:
    """However many notices name it before that; the state in them is not believed."""
    key = await watch(bench)
    for _ in range(3):
        assert await wake(bench, NATIVE) == 1
    assert await bench.due_ms(key) <= bench.api.services.clock_ms()
    assert await bench.turn() == [JOB]
    assert "sync_job.completed" not in await bench.event_types(key)
    assert await bench.due_ms(key) > bench.api.services.clock_ms()


async def test_a_job_that_is_being_read_is_read_once_more(bench: Bench) -> None:
    """The read under way may have begun before the job ended."""
    key = await watch(bench)
    account, lanes = (await bench.job(key)).account, bench.api.services.store.poll
    held = await lanes.hold(key[0], account, [key], lease_ms=60_000)
    assert await wake(bench, NATIVE) == 1
    assert await bench.due_ms(key) < 0  # still in flight
    await lanes.settle(key[0], [Settled(account, key, held.token, FAR_MS)])
    assert await bench.due_ms(key) <= bench.api.services.clock_ms()


@pytest.mark.parametrize(
    "notice",
    [
        {"id": "s1"},
        {"ID": "s1"},
        {"payload": [{"syncJobId": "s1"}]},
        {"job_ids": ["s0", "s1"]},
    ],
)
async def test_ids_are_found_wherever_they_stand(bench: Bench, notice: Any) -> None:
    """The form of native webhooks is not known yet."""
    await watch(bench)
    assert await wake(bench, notice) == 1


@pytest.mark.parametrize(
    "notice", [{}, [], "s1", {"title": "s1"}, {"id": "unknown"}, {"id": True}, {"id": "../s1"}]
)
async def test_what_names_no_watched_job_wakes_none(bench: Bench, notice: Any) -> None:
    """It is answered with 2xx all the same: the provider has no reason to send it again."""
    key = await watch(bench)
    due_ms = await bench.due_ms(key)
    assert await wake(bench, notice) == 0
    assert await bench.due_ms(key) == due_ms


async def test_a_job_that_has_ended_is_not_watched_again(bench: Bench) -> None:
    """A late notice costs no read."""
    key = await watch(bench)
    bench.upstream.lay(JOB, {"data": {"id": "s1", "status": "completed"}})
    for _ in range(2):  # it is still running at the first read
        assert await wake(bench, NATIVE) == 1
        assert await bench.turn() == [JOB]
    assert await bench.event_types(key) == ["sync_job.running", "sync_job.completed"]
    assert await wake(bench, NATIVE) == 0


async def test_who_may_wake_jobs(bench: Bench) -> None:
    """A key with the scope register, also in the URL, since a webhook's form may leave no other place; of its project alone."""
    key = await watch(bench)
    due_ms, none = await bench.due_ms(key), {"Accept": "*/*"}
    call = bench.api.call
    assert (await call("POST", "/v1/wake-ups", json=NATIVE, headers=none))[0] == 401
    _, reader = await call("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]})
    path = f"/v1/wake-ups?api_key={reader['key']}"
    assert (await call("POST", path, json=NATIVE, headers=none))[0] == 403
    _, project = await call("POST", "/v1/projects", json={"name": "other"})
    _, other = await bench.api.services.store.apikeys.create(project["id"], ["register"], "other")
    path = f"/v1/wake-ups?api_key={other}"
    assert (await call("POST", path, json=NATIVE, headers=none))[1]["woken"] == 0
    assert await bench.due_ms(key) == due_ms
    path = f"/v1/wake-ups?api_key={KEY}"
    assert (await call("POST", path, json=NATIVE, headers=none))[1]["woken"] == 1


async def test_what_is_no_json_is_refused(bench: Bench) -> None:
    """Whoever sets it up sees it in the provider's log of deliveries."""
    assert (await bench.api.call("POST", "/v1/wake-ups", data=b"\xff{"))[0] == 400
    assert (await bench.api.call("POST", "/v1/wake-ups", data=b"{"))[0] == 400

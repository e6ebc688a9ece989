"""Quotas: how many jobs a project may watch, over all of its accounts, and how large a job's callbacks may be."""

from typing import Any

from bridge.domain.jobs.registration import CALLBACKS_PER_JOB
from bridge.services.jobs.registration import JOBS_PER_PROJECT
from bridge.store import keys
from tests.api.serving import Client


async def test_a_full_project_takes_no_new_job_but_knows_the_old_ones(api: Client) -> None:
    """All accounts of a project count together; another project is not concerned."""
    await api.register(job_id="old")
    store = api.services.store
    accounts = await store.accounts.list("prj_default")
    crowded = next(each for each in accounts if each.provider == "reelbot")
    lane = keys.lane(store.shard_of(crowded.id), "poll", crowded.id)
    await store.redis.zadd(lane, {f"job{number}": 9e12 for number in range(JOBS_PER_PROJECT - 1)})
    body = {"job_id": "new", "callback_url": "inbox:"}
    status, refused, headers = await api.ask("POST", "/v1/callbacks", json=body)
    assert (status, refused["error"]["code"], headers["Retry-After"]) == (429, "RATE_LIMITED", "60")
    assert "this project watches 100,000 jobs" in refused["error"]["message"]
    assert (await api.call("POST", "/v1/callbacks", json={**body, "job_id": "old"}))[0] == 200
    _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
    mine = {"X-API-Key": other["key"]}
    account = {"provider": "reelmirror", "credential": "rm_fedcba9876543210fedcba9876543210"}
    assert (await api.call("POST", "/v1/accounts", headers=mine, json=account))[0] == 201
    assert (await api.call("POST", "/v1/callbacks", headers=mine, json=body))[0] == 201


async def test_the_callbacks_of_a_job_may_take_two_megabytes(api: Client) -> None:
    """The one that would exceed them is a 413 that says what to do, by POST and by PATCH; smaller ones are taken."""
    large: dict[str, Any] = {
        "job_id": "crowded",
        "metadata": {"note": "m" * 4_000},
        "headers": {f"x-{number}": "h" * 2_000 for number in range(4)},
        "events": ["sync_job.completed"] * 50,
    }
    status, registered = 201, 0
    while status == 201:
        url = f"https://hooks.example.com/{registered}/{'p' * 4_000}"
        status, body, _ = await api.ask("POST", "/v1/callbacks", json={**large, "callback_url": url})
        registered += status == 201
    assert 90 < registered < CALLBACKS_PER_JOB
    assert (status, body["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "`metadata`" in body["error"]["message"]
    small = {"job_id": "crowded", "callback_url": "https://hooks.example.com/small"}
    status, callback, _ = await api.ask("POST", "/v1/callbacks", json=small)
    assert status == 201
    change = {name: large[name] for name in ("metadata", "headers", "events")}
    status, body, _ = await api.ask("PATCH", f"/v1/callbacks/{callback['id']}", json=change)
    assert (status, body["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")

"""Quotas: how many jobs a project may watch, over all of its accounts, and how large a job's callbacks may be."""

import dataclasses
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.callbacks import CALLBACK_BYTES_PER_JOB, measure
from bridge.services.quota import JOBS_PER_PROJECT, quota_bytes
from bridge.store import keys
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import BEARER, Client, make_settings, serving


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


async def fill(api: Client, callback_id: str, *, size: int) -> None:
    """Make a job's callbacks so large, as a hundred of them with all that each may have nearly are."""
    key = read_callback_job(callback_id)
    assert key is not None
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    (callback,) = loaded.record.callbacks
    large = replace(callback, metadata="m" * (size - measure((callback,))))
    unit = UnitOfWork(key[0], now_ms=api.services.clock_ms(), retention_s=3600)
    unit.put_job(key, replace(loaded.record, callbacks=(large,)), loaded)
    assert await api.services.store.committer.commit(unit.change()) == "done"


async def test_the_callbacks_of_a_job_may_take_two_megabytes(api: Client) -> None:
    """The one that would exceed them is a 413 that says what to do, by POST and by PATCH; a smaller one is taken."""
    _, first = await api.call("POST", "/v1/callbacks", json={"job_id": "crowded", "callback_url": "inbox:"})
    await fill(api, first["id"], size=CALLBACK_BYTES_PER_JOB - 4_000)
    url, metadata = "https://hooks.example.com/", {"note": "m" * 4_000}
    body = {"job_id": "crowded", "callback_url": url, "metadata": metadata}
    status, refused = await api.call("POST", "/v1/callbacks", json=body)
    assert (status, refused["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "`metadata`" in refused["error"]["message"]
    status, small = await api.call("POST", "/v1/callbacks", json={**body, "metadata": {}})
    assert status == 201
    status, refused = await api.call("PATCH", f"/v1/callbacks/{small['id']}", json={"metadata": metadata})
    assert (status, refused["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert (await api.call("DELETE", f"/v1/callbacks/{first['id']}"))[0] == 200
    assert (await api.call("POST", "/v1/callbacks", json=body))[0] == 200


LARGE: dict[str, Any] = {"metadata": "m" * 4000, "callback_url": f"https://hooks.example/{'u' * 3900}"}


async def record_bytes(api: Client) -> int:
    """Add up what the records of all jobs really have."""
    redis = api.services.store.redis
    return sum([len(await redis.get(key)) async for key in redis.scan_iter("{a}:j:*")])


async def test_a_project_that_holds_too_many_bytes_takes_nothing_larger(store_socket: Path) -> None:
    """Refused with a reason; what does not grow passes, other projects too, and the count is that of the records."""
    async with serving(make_settings(store_socket, project_quota=1 << 20)) as api:
        made = [await api.register(job_id=f"job{number}", **LARGE) for number in range(60)]
        assert await api.services.store.job_bytes.total("prj_default") == await record_bytes(api)
        refused = None
        for number in range(60, 200):
            status, refused, headers = await api.ask(
                "POST", "/v1/callbacks", json={"job_id": f"job{number}", **LARGE}
            )
            if status != 201:
                break
        assert refused is not None
        assert (status, refused["error"]["code"], headers["Retry-After"]) == (429, "RATE_LIMITED", "60")
        assert "of 1.0 MB" in refused["error"]["message"]
        assert (1 << 20) - 10_000 < await record_bytes(api) <= 1 << 20
        again = {"job_id": "job0", **LARGE, "metadata": "short"}
        assert (await api.call("POST", "/v1/callbacks", json=again))[0] == 200
        path = f"/v1/callbacks/{made[0]['id']}"
        assert (await api.call("PATCH", path, json={"metadata": "x"}))[0] == 200
        many = {"headers": {f"X-{number}": "v" * 900 for number in range(9)}}
        statuses = [
            (await api.call("PATCH", f"/v1/callbacks/{each['id']}", json=many))[0] for each in made[:5]
        ]
        assert 429 in statuses
        _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
        mine = {"X-API-Key": other["key"]}
        account = {"provider": "reelmirror", "credential": "rm_fedcba9876543210fedcba9876543210"}
        assert (await api.call("POST", "/v1/accounts", headers=mine, json=account))[0] == 201
        body = {"job_id": "new", **LARGE}
        assert (await api.call("POST", "/v1/callbacks", headers=mine, json=body))[0] == 201
        store = api.services.store
        held = await store.job_bytes.total("prj_default") + await store.job_bytes.total(other["id"])
        assert held == await record_bytes(api)


async def test_answers_kept_for_a_day_count_towards_the_quota(store_socket: Path) -> None:
    """Repeating one registration under new keys adds no job, and still ends with a 429; without a key it passes."""
    async with serving(make_settings(store_socket, project_quota=1 << 20)) as api:
        body = {"job_id": "job", **LARGE}
        assert (await api.call("POST", "/v1/callbacks", json=body))[0] == 201
        status, answer = 200, None
        for number in range(200):
            headers = {**BEARER, "Idempotency-Key": f"key-{number}"}
            status, answer = await api.call("POST", "/v1/callbacks", json=body, headers=headers)
            if status != 200:
                break
        assert answer is not None
        assert (status, "Idempotency-Key" in answer["error"]["message"]) == (429, True)
        held = await api.services.store.idempotency.total("prj_default")
        assert (1 << 20) - 30_000 < held <= 1 << 20
        assert (await api.call("POST", "/v1/callbacks", json=body))[0] == 200
        first = {**BEARER, "Idempotency-Key": "key-0"}
        assert (await api.call("POST", "/v1/callbacks", json=body, headers=first))[0] == 200


async def test_a_project_never_takes_more_than_half_of_the_store(api: Client) -> None:
    """Whatever the setting says; without a limit of the store only the setting counts."""
    services = api.services
    assert quota_bytes(services) == services.settings.project_quota == 1 << 30
    assert quota_bytes(dataclasses.replace(services, store_memory=100 << 20)) == 50 << 20
    assert quota_bytes(dataclasses.replace(services, store_memory=1)) == 4 << 20
    assert quota_bytes(dataclasses.replace(services, store_memory=100 << 30)) == 1 << 30

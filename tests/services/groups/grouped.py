"""Sync jobs under one callback, and turns of the worker until everything due has been looked at."""

from typing import Any

from bridge.domain.ids import job_key, read_callback_job
from bridge.store import keys
from tests.e2e.processes import until
from tests.services.endpoints.standing import send
from tests.services.polling.upstreams import Bench

JOB = "/v1/sync-jobs/{id}"
URL = "https://hooks.example.test/all"


def show(bench: Bench, job_id: str, status: str = "completed", **fields: Any) -> None:
    """Let the provider show a sync job in this state from now on."""
    path = JOB.format(id=job_id)
    bench.upstream.answers.pop(path, None)
    bench.upstream.lay(path, {"data": {"id": job_id, "status": status, **fields}})


async def register_group(bench: Bench, *ids: str, **fields: Any) -> dict[str, Any]:
    """Register jobs to be waited for together; return the callback."""
    return await bench.api.register(
        **{"job_ids": list(ids), "job_id": None, "wait_for": "all", "callback_url": "inbox:", **fields}
    )


def key_of(callback: dict[str, Any]) -> str:
    """Return the key of a callback's job, or group."""
    key = read_callback_job(callback["id"])
    assert key is not None
    return key


async def look(bench: Bench, callback: dict[str, Any], *ids: str) -> None:
    """Read these sync jobs now, then let the group look at them."""
    group = await bench.job(key_of(callback))
    for job_id in ids:
        await turn_now(bench, job_key(key_of(callback)[0], group.account, "sync_job", job_id))
    await turn_now(bench, key_of(callback))


async def turn_now(bench: Bench, key: str) -> None:
    """Give what waits for its turn that turn now; what has ended waits for none."""
    account = (await bench.job(key)).account
    if await bench.api.services.store.poll.due_of(key[0], account, key) is not None:
        await bench.put_off(key, 0)
        await bench.turn()


async def shown(bench: Bench, callback: dict[str, Any]) -> dict[str, Any]:
    """Return what the API shows of a callback."""
    status, body = await bench.api.call("GET", f"/v1/callbacks/{callback['id']}")
    assert status == 200, body
    return dict(body)


async def look_until_closed(bench: Bench, callback: dict[str, Any], *ids: str) -> None:
    """Look again and again, until no job of the group is open."""

    async def is_closed() -> bool:
        await look(bench, callback, *ids)
        return bool((await shown(bench, callback))["state"] == "ended")

    await until(is_closed, within_s=20)


async def closings(bench: Bench) -> list[dict[str, Any]]:
    """Return the closing events of groups in the feed, oldest first."""
    _, page = await bench.api.call("GET", "/v1/events?type=job_group.ended&limit=100")
    return list(reversed(page["data"]))


async def send_all(bench: Bench, key: str) -> list[str]:
    """Let a worker send what is due of a group's deliveries; return the ids of the subscriptions."""
    await end_hold(bench, key)
    return await send(bench, key)


async def end_hold(bench: Bench, key: str) -> None:
    """Let the first deliveries of a group start, as they do a second after the answer."""
    redis = bench.api.services.store.redis
    await redis.delete(*(keys.hold(each.id) for each in (await bench.job(key)).callbacks))

"""Closed callbacks are kept as long as something is to be delivered to them; what has none any more ends audibly."""

from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import DeliveryState, new_delivery
from bridge.domain.ids import callback_id, read_callback_job
from bridge.domain.jobs.registration import CLOSED_KEPT
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import Client, make_settings, serving, settle
from tests.store.conftest import Server
from tests.workers.attempts import Worker, make_due

URL = "http://127.0.0.1:9"


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


async def close_with_others(api: Client, callback: str, others: int) -> list[str]:
    """Let a callback be ended, and as many younger ones of its job beside it; return their ids."""
    store = api.services.store
    key = read_callback_job(callback) or ""
    loaded = await store.load_job(key)
    assert loaded is not None
    (first,) = loaded.record.callbacks
    ended = replace(first, state=CallbackState.ENDED, closed_ms=first.created_ms)
    numbers = iter(range(others))
    younger = [
        replace(
            ended, id=callback_id(key, lambda size: next(numbers).to_bytes(size, "big")), fingerprint=b"x"
        )
        for _ in range(others)
    ]
    await keep(api, key, [ended, *younger])
    return [each.id for each in younger]


async def keep(api: Client, key: str, callbacks: Sequence[Callback]) -> None:
    """Write a job's callbacks."""
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    unit = UnitOfWork(key[0], now_ms=api.services.clock_ms(), retention_s=3600)
    unit.put_job(key, replace(loaded.record, callbacks=tuple(callbacks)), loaded)
    assert await api.services.store.committer.commit(unit.change()) == "done"


@pytest.mark.parametrize("state", ["pending", "parked"])
async def test_a_closed_callback_is_kept_while_something_is_to_be_delivered(api: Client, state: str) -> None:
    """However many younger ones there are: it can still be sent, and the oldest without deliveries gives way."""
    oldest = await api.register(job_id="a", callback_url=f"{URL}/oldest")
    delivery = await make_due(api, oldest)
    if state == "parked":
        await settle(api, delivery, DeliveryState.PARKED)
    younger = await close_with_others(api, oldest["id"], CLOSED_KEPT)
    await api.register(job_id="a", callback_url=f"{URL}/new")
    job = await api.services.store.load_job(read_callback_job(oldest["id"]) or "")
    assert job is not None
    kept = {each.id for each in job.record.callbacks}
    assert {oldest["id"], *younger} - kept == {younger[0]}
    assert (await api.call("POST", f"/v1/deliveries/{delivery}/retry"))[0] == 200
    assert await Worker(api).take(delivery) is not None


async def test_too_many_closed_callbacks_with_deliveries_refuse_another(api: Client) -> None:
    """None is dropped: the refusal says why, and deleting one of them helps."""
    oldest = await api.register(job_id="a", callback_url=f"{URL}/oldest")
    parked = await make_due(api, oldest)
    await settle(api, parked, DeliveryState.PARKED)
    younger = await close_with_others(api, oldest["id"], CLOSED_KEPT)
    first = await Worker(api).read(parked)
    unit = UnitOfWork(parked[4], now_ms=api.services.clock_ms(), retention_s=3600)
    for each in younger:
        made = new_delivery(
            event=first.event,
            job=first.job,
            subscription=each,
            project=first.project,
            lane=first.lane,
            now_ms=1,
        )
        unit.add_delivery(replace(made, state=DeliveryState.PARKED), 60_000)
    assert await api.services.store.committer.commit(unit.change()) == "done"
    body = {"job_id": "a", "callback_url": f"{URL}/new"}
    status, refused = await api.call("POST", "/v1/callbacks", json=body)
    assert (status, refused["error"]["code"]) == (429, "RATE_LIMITED")
    assert "closed callbacks whose deliveries wait or are parked" in refused["error"]["message"]
    assert (await api.call("DELETE", f"/v1/callbacks/{oldest['id']}"))[0] == 200
    assert (await api.call("POST", "/v1/callbacks", json=body))[0] == 201


async def test_a_delivery_whose_callback_is_gone_ends_with_a_reason(api: Client) -> None:
    """It is not left pending in no queue, where the sweep would find it again and again."""
    callback = await api.register(job_id="a", callback_url=f"{URL}/x")
    delivery = await make_due(api, callback)
    await keep(api, read_callback_job(callback["id"]) or "", [])
    worker = Worker(api)
    assert await worker.take(delivery) is None
    _, body = await api.call("GET", f"/v1/deliveries/{delivery}")
    assert (body["state"], body["reason"]) == (
        "cancelled",
        "its callback was deleted, or its event and callback are no longer kept",
    )
    lane = (await worker.read(delivery)).lane
    assert await api.services.store.dlv.due_of(delivery[4], lane, delivery) is None

"""The queues in `GET /metrics`: how long what is due has waited, and how many workers there are."""

from prometheus_client.parser import text_string_to_metric_families

from tests.api.serving import Client
from tests.e2e.processes import until


async def metrics(api: Client) -> dict[tuple[str, str], float]:
    """The samples by name and queue."""
    async with api.http.get(api.url + "/metrics") as answer:
        text = await answer.text()
    return {
        (sample.name, sample.labels.get("queue", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_is_due_and_not_taken_is_behind_and_what_sleeps_is_not(api: Client) -> None:
    """Without a worker the lag of polls grows; an empty queue has none."""
    assert (await metrics(api))["reelbridge_schedule_lag_seconds", "poll"] == 0
    body = {"job_id": "j1", "callback_url": "https://receiver.example.test/"}
    status, _ = await api.call("POST", "/v1/callbacks", json=body)
    assert status == 201

    async def lag() -> float:
        return (await metrics(api))["reelbridge_schedule_lag_seconds", "poll"]

    first: float = await until(lag)

    async def is_greater() -> bool:
        return await lag() > first

    await until(is_greater)
    assert (await metrics(api))["reelbridge_schedule_lag_seconds", "deliver"] == 0


async def test_workers_are_counted_by_their_heartbeats(api: Client) -> None:
    """One that has left is not counted any more."""
    store = api.services.store
    await store.heartbeats.beat("a:1", await store.time_ms())
    await store.heartbeats.beat("a:2", await store.time_ms())
    assert (await metrics(api))["reelbridge_workers", ""] == 2
    await store.heartbeats.leave("a:1")
    assert (await metrics(api))["reelbridge_workers", ""] == 1

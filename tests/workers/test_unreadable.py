"""One record that cannot be read stops nothing else: it is named once in the log, counted, and put off."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from bridge.cli.commands.key_checks import check_records
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.ids import read_callback_job
from bridge.services.deliveries.attempt import load_ready
from bridge.services.jobs.retention import end_retention
from bridge.store import feed_keys, keys
from bridge.store.queue.lanes import Claim, Item
from bridge.store.records import UNREADABLE_RETRY_MS
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import Client, make_settings, serving, tell
from tests.services.resealing import reseal_all
from tests.store.conftest import Server
from workers.handlers.deliver import DeliverHandler
from workers.handlers.poll import PollHandler
from workers.sweep import prove, tidy

BROKEN = b"\x92\xa7content\xa2\xff\xfe"
LANE = "prj_default inbox:"
DAY_MS = 86_400_000


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


async def spoil(api: Client, *names: str) -> None:
    redis: Any = api.services.store.redis
    for name in names:
        assert await redis.set(name, BROKEN, xx=True)


async def waiting(api: Client, job_id: str) -> tuple[str, str, str]:
    """Register a callback whose event waits to be delivered; return the ids of its job, event and delivery."""
    callback = await api.register(job_id=job_id)
    await api.services.store.redis.delete(keys.hold(callback["id"]))
    key = read_callback_job(callback["id"])
    assert key is not None
    event, delivery = await tell(api, callback)
    return key, event, delivery


async def rewrite(api: Client, identifier: str, **changed: Any) -> Delivery:
    loaded = await api.services.store.load_delivery(identifier)
    assert loaded is not None
    unit = UnitOfWork(identifier[4], now_ms=api.services.clock_ms(), retention_s=3600)
    fresh = replace(loaded.record, **changed)
    unit.put_delivery(fresh, loaded)
    assert await api.services.store.committer.commit(unit.change()) == "done"
    return fresh


def claimed(api: Client, lane: str, members: list[str]) -> Claim:
    now_ms = api.services.clock_ms()
    return Claim(b"-1", now_ms, tuple(Item(lane, member, now_ms) for member in members))


async def test_deliveries_beside_unreadable_ones_are_sent(api: Client) -> None:
    """An unreadable delivery, and those whose event or job is unreadable, wait for ten minutes each."""
    _, _, good = await waiting(api, "1")
    _, _, lost = await waiting(api, "2")
    _, event, without_event = await waiting(api, "3")
    job, _, without_job = await waiting(api, "4")
    await spoil(api, keys.delivery(lost), keys.event(event), keys.job(job))
    handler = DeliverHandler(api.services, suspects_at_most=9)
    with capture_logs() as logs:
        tasks, settled = await handler.load("a", claimed(api, LANE, [lost, without_event, without_job, good]))
    assert [task.delivery.record.id for task in tasks] == [good]
    assert {each.member: each.delay_ms for each in settled} == dict.fromkeys(
        [lost, without_event, without_job], UNREADABLE_RETRY_MS
    )
    assert {each["key"] for each in logs if each["event"] == "store.record_unreadable"} == {lost, event, job}
    assert "content" not in str(logs)
    with capture_logs() as again:
        await load_ready(api.services.store, [lost], now_ms=api.services.clock_ms())
    assert again == []


async def test_a_delivery_that_stays_without_its_event_is_parked_after_a_day(api: Client) -> None:
    """So that its end is seen in lists, and `recover` brings it back."""
    _, event, delivery = await waiting(api, "5")
    old = await rewrite(api, delivery, created_ms=api.services.clock_ms() - DAY_MS)
    await spoil(api, keys.event(event))
    handler = DeliverHandler(api.services, suspects_at_most=9)
    store = api.services.store
    await store.dlv.unblock("a", old.lane, due_all=True)
    held = await store.dlv.claim("a", [(old.lane, 9)], most=9, page=9, lease_ms=60_000)
    tasks, settled = await handler.load("a", held)
    assert (tasks, [each.delay_ms for each in settled]) == ([], [None])
    assert await store.dlv.settle("a", settled) == []
    status, shown = await api.call("GET", f"/v1/deliveries/{delivery}")
    assert (status, shown["state"]) == (200, DeliveryState.PARKED)
    assert "cannot be read" in shown["reason"]


async def test_jobs_beside_an_unreadable_one_are_polled(api: Client) -> None:
    """One without a readable record waits for ten minutes; one whose poll log is unreadable is polled anew."""
    good, _, _ = await waiting(api, "6")
    lost, _, _ = await waiting(api, "7")
    without_log, _, _ = await waiting(api, "8")
    await spoil(api, keys.job(lost))
    redis: Any = api.services.store.redis
    await redis.set(keys.poll_log(without_log), BROKEN)
    loaded = await api.services.store.load_job(good)
    assert loaded is not None
    handler = PollHandler(api.services)
    tasks, settled = await handler.load("a", claimed(api, loaded.record.account, [lost, good, without_log]))
    assert {each.key for task in tasks for each in task.jobs} == {good, without_log}
    assert [(each.member, each.delay_ms) for each in settled] == [(lost, UNREADABLE_RETRY_MS)]


async def test_the_sweep_goes_on_and_readyz_counts(api: Client) -> None:
    """A delivery that no lane holds is scheduled though another one, and a job, cannot be read."""
    store = api.services.store
    _, _, good = await waiting(api, "9")
    job, _, lost = await waiting(api, "10")
    loaded = await store.load_delivery(good)
    assert loaded is not None
    unit = UnitOfWork("a", now_ms=api.services.clock_ms(), retention_s=3600)
    unit.drop_attempt(loaded.record)
    await store.committer.commit(unit.change())
    await spoil(api, keys.delivery(lost), keys.job(job))
    redis: Any = store.redis
    await redis.hset(keys.ACCOUNTS, "acc_lost", BROKEN)
    await redis.hset(keys.PROJECTS, "prj_lost", BROKEN)
    await redis.hset(keys.API_KEYS, b"\xff" * 32, BROKEN)
    assert (await prove(api.services))["deliveries"] == 1
    assert await store.dlv.due_of("a", LANE, good) is not None
    expected = {"jobs": 1, "deliveries": 1, "accounts": 1, "projects": 1, "api_keys": 1}
    await reseal_all(api.services)  # leaves out deliveries, and keeps what the sweep has counted
    _, ready = await api.call("GET", "/readyz")
    assert ready["details"]["unreadable_records"] == expected
    for path in ("/v1/accounts", "/v1/projects", "/v1/keys", "/v1/deliveries"):
        status, shown = await api.call("GET", path)
        assert (status, len(shown["data"]) > 0) == (200, True), path


async def test_retention_and_outbox_go_on(api: Client) -> None:
    """What cannot be read is put off; what follows it is removed and published."""
    store = api.services.store
    (lost, lost_event, _), (good, event, delivery) = [await waiting(api, each) for each in ("11", "12")]
    redis: Any = store.redis
    await spoil(api, keys.job(lost), keys.event(lost_event), keys.delivery(delivery))
    await redis.zadd(keys.ended("a"), {lost: 1, good: 2})
    await redis.zadd(feed_keys.old_outbox("a"), {lost_event: 1, event: 2})
    await redis.zrem(feed_keys.feed("prj_default"), event)
    assert (await tidy(api.services))["published"] == 1
    assert await redis.zscore(feed_keys.old_outbox("a"), lost_event) > api.services.clock_ms()
    assert await redis.zscore(keys.ended("a"), lost) > api.services.clock_ms()
    await api.call("DELETE", "/v1/callbacks?job_id=12")
    await redis.zadd(keys.ended("a"), {good: 3})
    assert await end_retention(api.services, "a") == 1
    assert await redis.exists(keys.job(good), keys.delivery(delivery)) == 0


async def test_what_cannot_be_read_is_named_to_the_client(api: Client) -> None:
    """A 503 that tells where to look, not a bare 500."""
    callback = await api.register(job_id="13")
    await spoil(api, keys.job(str(read_callback_job(callback["id"]))))
    status, body = await api.call("GET", f"/v1/callbacks/{callback['id']}")
    assert (status, body["error"]["details"]["reason"]) == (503, "record_unreadable")
    assert "operator" in body["error"]["message"]


def test_doctor_tells_of_unreadable_records() -> None:
    """It names what was counted and where the log has the keys; it is silent where all can be read."""
    (finding,) = check_records({"details": {"unreadable_records": {"jobs": 2, "deliveries": 1}}})
    assert (finding.level, "2 of jobs, 1 of deliveries" in finding.text) == ("wrong", True)
    assert list(check_records({"details": {"unreadable_records": {}}})) == []
    assert list(check_records({"details": {}})) == []

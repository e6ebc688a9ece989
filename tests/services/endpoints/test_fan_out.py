"""Each new event reaches every endpoint that it matches, in the step that writes it, whatever happens between."""

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState, new_delivery
from bridge.domain.subscriptions.endpoint import DISABLED
from bridge.domain.subscriptions.endpoint_table import NO_ENDPOINTS, EndpointTable
from bridge.services.jobs import endpoint_fanout
from bridge.store import endpoint_keys, keys
from bridge.store.commit import Change
from bridge.store.endpoint_deliveries import DeliverAll, deliver_to, park_new
from bridge.store.records import pack, unpack
from tests.services.endpoints.standing import create, deliveries, end_job, inbox, records, send
from tests.services.polling.upstreams import Bench

PROJECT = "prj_default"


@pytest.mark.parametrize(
    ("fields", "heard"),
    [
        ({}, True),
        ({"events": "sync_job.completed"}, True),
        ({"events": "completed"}, True),
        ({"events": "*"}, True),
        ({"events": "sync_job.*,generated_post.failed"}, True),
        ({"events": "sync_job.running"}, False),
        ({"events": "failed"}, False),
        ({"personas": "*"}, True),
        ({"personas": "n1"}, False),  # a sync job shows no persona
        ({"personas": "n2"}, False),
    ],
)
async def test_an_ending_reaches_the_endpoints_that_it_matches(
    bench: Bench, *, fields: dict[str, Any], heard: bool
) -> None:
    endpoint = await create(bench, **fields)
    await end_job(bench, "s1")
    assert len(await deliveries(bench, endpoint)) == heard


async def test_personas_are_told_apart(bench: Bench) -> None:
    """By what the provider shows of the post."""
    mine, other = await create(bench, personas=["n1"]), await create(bench, personas="n2")
    bench.upstream.lay(
        "/v1/generated-posts/p1",
        {"data": {"id": "p1", "status": "completed", "persona_id": "n1", "media_items": []}},
    )
    bench.upstream.lay(
        "/v1/generated-posts/p1",
        {
            "data": {
                "id": "p1",
                "status": "failed",
                "persona_id": "n1",
                "media_items": [{"id": "i", "status": "failed"}],
            }
        },
    )
    key = await bench.register("p1", persona_id="n1")
    await bench.turn()
    await bench.put_off(key, 0)
    await bench.turn()
    assert "generated_post.failed" in await bench.event_types(key)
    assert (len(await deliveries(bench, mine)), len(await deliveries(bench, other))) == (1, 0)


async def test_it_is_sent_with_its_own_fields_and_the_jobs_callbacks(bench: Bench) -> None:
    """The list of callbacks is that of the time when the event was made."""
    endpoint = await create(bench, metadata={"shop": 7})
    key = await end_job(bench, "s1", metadata={"order": "42"}, callback_url="http://127.0.0.1:9/x")
    callback = (await bench.job(key)).callbacks[0].id
    await bench.api.call("DELETE", f"/v1/callbacks/{callback}")
    assert await send(bench, key) == [endpoint]
    (entry,) = await inbox(bench)
    body = entry["body"]
    assert (body["type"], body["metadata"]) == ("sync_job.completed", {"shop": 7})
    assert body["bridge"]["endpoint_id"] == endpoint
    assert "callback_id" not in body["bridge"]
    assert body["bridge"]["callbacks"] == [{"id": callback, "metadata": {"order": "42"}}]
    assert entry["id"] == body["id"] == (await records(bench, key))[endpoint].event
    (listed,) = await deliveries(bench, endpoint)
    assert (listed["state"], listed["endpoint_id"], listed["callback_id"]) == ("succeeded", endpoint, None)
    _, own = await bench.api.call("GET", f"/v1/endpoints/{endpoint}/deliveries")
    assert [each["id"] for each in own["data"]] == [listed["id"]]


async def test_a_callback_and_an_endpoint_on_one_url_sign_with_both_secrets(bench: Bench) -> None:
    """Two POSTs with one id; each receiver's library accepts both."""
    endpoint = await create(bench)
    key = await end_job(bench, "s1")
    callback = (await bench.job(key)).callbacks[0].id
    await bench.api.services.store.redis.delete(keys.hold(callback))
    assert set(await send(bench, key)) == {endpoint, callback}
    second, first = await inbox(bench)
    assert first["id"] == second["id"]
    signatures = [each["headers"]["webhook-signature"].split(" ") for each in (first, second)]
    assert [len(each) for each in signatures] == [2, 2]


@pytest.mark.parametrize("change", ["create", "delete", "disable", "filter"])
async def test_a_commit_decided_with_an_older_table_is_refused_and_decided_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """As if the worker had slept between reading the table and the commit, while the API changed it."""
    standing = await create(bench)
    store = bench.api.services.store
    committer, table = store.committer, await store.endpoints.table(PROJECT)
    commit = committer.commit
    made: list[str] = []

    async def late(*args: Any, **how: Any) -> Any:
        if not made:
            made.append("")  # first, as the change commits too
            match change:
                case "create":
                    made.append(await create(bench))
                case "delete":
                    await bench.api.call("DELETE", f"/v1/endpoints/{standing}")
                case "disable":
                    await bench.api.call("PATCH", f"/v1/endpoints/{standing}", json={"enabled": False})
                case "filter":
                    await bench.api.call("PATCH", f"/v1/endpoints/{standing}", json={"events": "failed"})
            store.endpoints._tables[PROJECT] = table
        return await commit(*args, **how)

    key = await bench.register("s1", "sync_job")
    bench.upstream.lay("/v1/sync-jobs/s1", {"data": {"id": "s1", "status": "completed"}})
    monkeypatch.setattr(committer, "commit", late)
    await bench.turn()
    found = await records(bench, key)
    heard = {each for each in found if each.startswith("ep_")}
    expected = {"create": {standing, made[-1]}, "delete": set(), "disable": {standing}, "filter": set()}
    assert heard == expected[change]
    if change == "disable":
        assert (found[standing].state, found[standing].reason) == (DeliveryState.PARKED, DISABLED)


@pytest.mark.parametrize("case", ["api died before the shard", "table rolled back", "table lost"])
async def test_table_and_shard_are_brought_level(bench: Bench, case: str) -> None:
    """An unfinished change is finished; a table that a failover rolled back begins an epoch that nobody has seen."""
    endpoint = await create(bench)
    store = bench.api.services.store
    redis: Any = store.redis
    row, copy = endpoint_keys.endpoints(PROJECT), endpoint_keys.epoch("a", PROJECT)
    epoch = int(await redis.hget(row, "epoch"))
    assert int(await redis.get(copy)) == epoch
    if case == "api died before the shard":
        await redis.hset(row, "epoch", epoch + 1)
    elif case == "table rolled back":
        await redis.set(copy, epoch + 5)
    else:
        await redis.delete(row)
    store.endpoints._tables.clear()  # as in a process that has read nothing yet
    key = await end_job(bench, "s1")
    assert "sync_job.completed" in await bench.event_types(key)
    assert len(await deliveries(bench, endpoint)) == (case != "table lost")
    now = int(await redis.get(copy))
    assert int(await redis.hget(row, "epoch")) == now > epoch


async def test_disabled_endpoints_keep_their_events(bench: Bench) -> None:
    """Parked with the reason, in no lane; what waited when it was switched off is parked when its turn comes."""
    endpoint = await create(bench)
    waiting = await end_job(bench, "s1")
    await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json={"enabled": False})
    later = await end_job(bench, "s2")
    assert await send(bench, waiting) == []
    for key in (waiting, later):
        found = (await records(bench, key))[endpoint]
        assert (found.state, found.reason, found.tries) == (DeliveryState.PARKED, DISABLED, 0)
        assert await bench.api.services.store.dlv.due_of(key[0], found.lane, found.id) is None
    assert await inbox(bench) == []


async def test_what_waits_for_a_deleted_endpoint_is_cancelled(bench: Bench) -> None:
    endpoint = await create(bench)
    key = await end_job(bench, "s1")
    await bench.api.call("DELETE", f"/v1/endpoints/{endpoint}")
    assert await send(bench, key) == []
    found = (await records(bench, key))[endpoint]
    assert (found.state, found.reason[:24]) == (
        DeliveryState.CANCELLED,
        "its endpoint was deleted",
    )


async def test_packed_deliveries_are_those_that_records_make(bench: Bench) -> None:
    """The template writes what `pack` writes, due or parked."""
    store = bench.api.services.store
    names = [await create(bench), await create(bench, enabled=False)]
    table = await store.endpoints.read(PROJECT)
    event = "evt_a" + "b" * 25
    op = deliver_to(table.by_id.values(), event, "a" * 17, PROJECT, now_ms=1_795_257_250_123)
    for name, packed in zip(names, op.deliveries, strict=True):
        endpoint = table.by_id[name]
        made = new_delivery(
            event=event,
            job="a" * 17,
            subscription=name,
            project=PROJECT,
            lane=endpoint.lane,
            now_ms=1_795_257_250_123,
        )
        made = made if endpoint.enabled else park_new(made)
        assert (packed.id, packed.packed) == (made.id, pack(made))
        assert unpack(Delivery, packed.packed) == made
        assert packed.is_due == endpoint.enabled


def test_a_table_answers_from_memory_what_it_answered_before() -> None:
    """And an empty one asks nothing."""
    assert NO_ENDPOINTS.matching("sync_job.completed", ending=True, persona="") == ()
    assert EndpointTable(3, ()).epoch == 3


async def test_very_many_facts_are_written_in_portions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit has a limited number of deliveries; the job's own ending comes with the last one, once, and not late."""
    most, parts = 20, 30
    monkeypatch.setattr(endpoint_fanout, "MOST_DELIVERIES", most)
    names = [await create(bench) for _ in range(3)]
    store: Any = bench.api.services.store
    commit, sizes = store.committer.commit, []

    async def noted(change: Change, **how: Any) -> Any:
        made = [op for op in change.ops if isinstance(op, DeliverAll)]
        sizes.append(sum(len(op.deliveries) for op in made))
        return await commit(change, **how)

    monkeypatch.setattr(store.committer, "commit", noted)
    listed = [{"id": f"d{number}", "status": "published", "platform": "x"} for number in range(parts)]
    answer = {"post": {"id": "o1", "status": "published", "deliveries": listed}}
    bench.upstream.lay("/v1/publishing/posts/o1", answer)
    key = await bench.register("o1", "outgoing_post", timeout_seconds=1)
    turns = 0
    while "outgoing_post.published" not in await bench.event_types(key):
        await bench.turn()
        turns += 1
    assert turns >= parts * len(names) // most
    assert max(sizes) <= most
    found = await bench.event_types(key)
    assert Counter(found) == {"publishing_delivery.published": parts, "outgoing_post.published": 1}
    _, page = await bench.api.call("GET", "/v1/events?limit=100")
    assert max(page["data"], key=lambda each: each["sequence"])["type"] == "outgoing_post.published"
    for name in names:
        heard = await deliveries(bench, name)
        assert len({each["event_id"] for each in heard}) == len(heard) == parts + 1


async def test_a_commit_that_is_sent_again_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As redis-py does when the connection broke before the answer; not even after the delivery has gone out."""
    endpoint = await create(bench)
    store: Any = bench.api.services.store
    commit, made = store.committer.commit, []

    async def noted(change: Change, **how: Any) -> Any:
        made.append(change)
        return await commit(change, **how)

    monkeypatch.setattr(store.committer, "commit", noted)
    key = await end_job(bench, "s1")
    (change,) = [each for each in made if any(isinstance(op, DeliverAll) for op in each.ops)]
    assert await commit(replace(change, lease=None)) == "done"
    assert await send(bench, key) == [endpoint]
    sent = (await records(bench, key))[endpoint]
    assert await commit(replace(change, lease=None)) == "done"
    assert (await records(bench, key))[endpoint] == sent
    assert sent.state is DeliveryState.SUCCEEDED

"""What was once broken: secrets of a repeated registration, identity under PATCH, what is kept in clear."""

import asyncio

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import DeliveryState
from bridge.domain.ids import read_callback_job
from bridge.domain.subscriptions.callback import Callback
from bridge.services.deliveries.request import DeliveryRequest, RequestBuilder
from bridge.store import keys
from bridge.store.tables.projects import Secrets
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import BEARER, Client, settle, tell

URL = "https://hooks.example.test/x"
OWN = "whsec_" + "QUJD" * 10
OTHER = "whsec_" + "REVG" * 10


async def load_callback(api: Client, callback_id: str) -> Callback:
    key = read_callback_job(callback_id)
    assert key is not None
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    return next(each for each in loaded.record.callbacks if each.id == callback_id)


async def test_secret_and_headers_of_a_repetition_can_be_opened(api: Client) -> None:
    """The callback keeps its id, so what is sealed anew is sealed for that id: or no attempt could ever be made."""
    made = await api.register(job_id="a", callback_url=URL, secret=OWN, headers={"X-A": "1"})
    fields = {"job_id": "a", "callback_url": URL, "secret": OTHER, "headers": {"X-A": "2"}}
    status, again = await api.call("POST", "/v1/callbacks", json=fields)
    assert (status, again["id"]) == (200, made["id"])
    callback, vault = await load_callback(api, made["id"]), api.services.store.vault
    assert callback.secret is not None
    assert callback.headers is not None
    assert vault.open(callback.secret, record=callback.id).decode() == OTHER
    assert vault.open(callback.headers, record=callback.id) == b'{"X-A": "2"}'
    assert vault.open(callback.url, record=callback.id).decode() == URL


async def test_no_callback_moves_onto_anothers_url(api: Client) -> None:
    """(kind, job, URL) is one live callback; a URL that a deleted one had is free."""
    first = await api.register(job_id="a", callback_url=URL)
    second = await api.register(job_id="a", callback_url=URL + "2")
    change = {"callback_url": URL}
    status, body = await api.call("PATCH", f"/v1/callbacks/{second['id']}", json=change)
    assert (status, body["error"]["code"], first["id"] in body["error"]["message"]) == (409, "CONFLICT", True)
    await api.call("DELETE", f"/v1/callbacks/{first['id']}")
    assert (await api.call("PATCH", f"/v1/callbacks/{second['id']}", json=change))[0] == 200


async def test_a_changed_timeout_moves_the_expiry(api: Client) -> None:
    """`expires_at` follows `timeout_seconds`, and is what it was when that is removed."""
    made = await api.register(job_id="a")
    path = f"/v1/callbacks/{made['id']}"
    _, longer = await api.call("PATCH", path, json={"timeout_seconds": 86400})
    assert longer["expires_at"] > made["expires_at"]
    _, former = await api.call("PATCH", path, json={"timeout_seconds": None})
    assert (former["expires_at"], former["timeout_seconds"]) == (made["expires_at"], None)
    for nothing in ({"callback_url": None}, {"events": None}):
        assert (await api.call("PATCH", path, json=nothing))[0] == 400


async def test_a_stored_answer_shows_no_url(api: Client) -> None:
    """What an Idempotency-Key keeps for a day is sealed, and opens for a repetition."""
    url = URL + "?token=query-secret-31"
    headers = {**BEARER, "Idempotency-Key": "k"}
    fields = {"job_id": "a", "callback_url": url}
    _, first = await api.call("POST", "/v1/callbacks", json=fields, headers=headers)
    redis = api.services.store.redis
    kept = [await redis.get(name) async for name in redis.scan_iter("*:idem:*")]
    assert len(kept) == 1
    assert b"query-secret-31" not in kept[0]
    _, again = await api.call("POST", "/v1/callbacks", json=fields, headers=headers)
    assert again == first
    assert again["callback_url"] == url


async def test_the_inbox_shows_no_value_of_a_receivers_header(api: Client) -> None:
    """They are write-only: the name is enough to see that the header was sent."""
    made = await api.register(job_id="a", headers={"X-Key": "header-secret-31"})
    event, delivery = await tell(api, made)
    store = api.services.store
    loaded, record = await store.load_delivery(delivery), await store.load_event(event)
    assert loaded is not None
    assert record is not None
    callback = await load_callback(api, made["id"])
    now_ms = api.services.clock_ms()
    request = await RequestBuilder(api.services).build(record, callback, resend=False, now_ms=now_ms)
    assert request.headers["X-Key"] == "header-secret-31"
    entry = request.as_inbox_entry(now_ms)
    assert b"header-secret-31" not in entry
    assert b'"X-Key":"***"' in entry


async def test_a_projects_secret_is_read_once_a_second_however_many_sign(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one delivery reads it anew the others sign with the last one, for a second more at most."""
    made = await api.register(job_id="a")
    event, delivery = await tell(api, made)
    store = api.services.store
    loaded, record = await store.load_delivery(delivery), await store.load_event(event)
    assert loaded is not None
    assert record is not None
    callback = await load_callback(api, made["id"])
    may_read, reads = asyncio.Event(), 0
    read = store.projects.default_secret

    async def slow_read(project: str) -> Secrets:
        nonlocal reads
        reads += 1
        await may_read.wait()
        return await read(project)

    monkeypatch.setattr(store.projects, "default_secret", slow_read)
    builder = RequestBuilder(api.services)

    def seal(now_ms: int) -> asyncio.Task[DeliveryRequest]:
        return asyncio.ensure_future(builder.build(record, callback, resend=False, now_ms=now_ms))

    may_read.set()
    [before, *_] = [
        each.headers["webhook-signature"] for each in await asyncio.gather(*(seal(0) for _ in range(20)))
    ]
    assert reads == 1, "who asks during the first read shares it"
    await store.projects.rotate(loaded.record.project)
    may_read.clear()
    reads = 0
    first = seal(1_000)
    await asyncio.sleep(0)
    others = await asyncio.gather(*(seal(1_500) for _ in range(20)))
    assert reads == 1
    assert len({each.headers["webhook-signature"] for each in others}) == 1
    late = seal(2_000)
    await asyncio.sleep(0)
    assert not late.done()
    may_read.set()
    assert len((await first).headers["webhook-signature"].split(" ")) == 2 > len(before.split(" "))
    assert len((await late).headers["webhook-signature"].split(" ")) == 2


async def test_a_replaced_credential_is_tried_at_once(api: Client) -> None:
    """The refusal is forgotten, and every job of the account is due now."""
    made = await api.register(job_id="a")
    account, store = made["account_id"], api.services.store
    shard, now_ms = store.shard_of(account), api.services.clock_ms()
    await store.health.note_refused(account, now_ms)
    await store.health.note_refused(account, now_ms + 1)
    await store.poll.claim(shard, [(account, 0)], most=10, page=10, lease_ms=1)
    await store.poll.block(shard, account, for_ms=60_000)
    assert (await api.call("GET", f"/v1/accounts/{account}"))[1]["state"] == "unauthorized"
    fields = {"credential": "rm_" + "f" * 32}
    status, body = await api.call("PUT", f"/v1/accounts/{account}/credential", json=fields)
    assert (status, body["state"]) == (200, "ok")
    assert await store.poll.blocked(shard, [account]) == {}


async def test_a_recovered_delivery_that_was_over_is_marked(api: Client) -> None:
    """It goes out although its callback was cancelled, as a resend: a person asked for it."""
    made = await api.register(job_id="a")
    _, delivery = await tell(api, made)
    await api.call("DELETE", f"/v1/callbacks/{made['id']}")
    fields = {"since": "2020-01-01T00:00:00Z", "state": "cancelled"}
    _, body = await api.call("POST", "/v1/deliveries/recover", json=fields)
    assert body["count"] == 1
    loaded = await api.services.store.load_delivery(delivery)
    assert loaded is not None
    assert (loaded.record.state, loaded.record.resend) == (DeliveryState.PENDING, True)


async def test_a_resend_waits_for_the_attempt_in_flight(api: Client) -> None:
    """That attempt's record would be written over the request: it is refused, not lost."""
    made = await api.register(job_id="a")
    event, delivery = await tell(api, made)
    store = api.services.store
    loaded = await store.load_delivery(delivery)
    assert loaded is not None
    lane = loaded.record.lane
    await store.dlv.unblock(delivery[4], lane, due_all=True)
    claim = await store.dlv.claim(delivery[4], [(lane, 0)], most=1, page=1, lease_ms=60_000)
    assert [item.member for item in claim.items] == [delivery]
    status, body = await api.call("POST", f"/v1/events/{event}/resend")
    assert (status, "in flight" in body["error"]["message"]) == (409, True)
    await settle(api, delivery, DeliveryState.SUCCEEDED)
    assert (await api.call("POST", f"/v1/events/{event}/resend"))[0] == 200


async def test_callbacks_that_a_job_no_longer_keeps_leave_every_list(api: Client) -> None:
    """A job remembers its last 200 closed ones; older ones must not stay behind in the indexes for ever."""
    made = await api.register(job_id="a", callback_url=URL)
    key = read_callback_job(made["id"])
    assert key is not None
    store = api.services.store
    loaded = await store.load_job(key)
    assert loaded is not None
    await api.call("DELETE", f"/v1/callbacks/{made['id']}")
    loaded = await store.load_job(key)
    assert loaded is not None
    first = loaded.record.callbacks[0]
    many = tuple(replace(first, id=f"{first.id[:-4]}{number:04}") for number in range(200))
    draft = UnitOfWork(key[0], now_ms=1, retention_s=60)
    draft.put_job(key, replace(loaded.record, callbacks=(first, *many)), loaded)
    assert await store.committer.commit(draft.change()) == "done"
    await api.register(job_id="a", callback_url=URL)
    listed = await store.indexes.callbacks(loaded.record.project)
    assert first.id not in {place.id for place in listed}
    assert await store.redis.zcard(keys.urls(key[0], loaded.record.project)) == 1


async def test_a_filtered_page_has_no_more_than_its_limit(api: Client) -> None:
    """Pages that are half full after the filter do not add up to more, and nothing is skipped between them."""
    made = []
    for number in range(8):
        kind = {"job_id": str(number)} if number % 4 != 3 else {"project_id": str(number)}
        callback = await api.register(**kind)
        made += [callback["id"]] if "job_id" in kind else []
        _, delivery = await tell(api, callback)
        await settle(api, delivery, DeliveryState.PARKED if number % 4 != 3 else DeliveryState.SUCCEEDED)
    for path in ("/v1/callbacks?kind=sync_job&limit=2", "/v1/deliveries?state=parked&limit=2"):
        seen, cursor = [], ""
        while cursor is not None:
            _, page = await api.call("GET", f"{path}&cursor={cursor}")
            assert len(page["data"]) <= 2
            seen += [each.get("callback_id", each["id"]) for each in page["data"]]
            cursor = page["next_cursor"]
        assert sorted(seen) == sorted(made), path
        assert len(set(seen)) == len(seen)


async def test_one_url_of_more_than_a_thousand_callbacks_is_listed_and_deleted_whole(api: Client) -> None:
    """A fixed receiver takes every job's callback: none is left out, none lives on."""
    jobs = [str(number) for number in range(1_100)]
    for start in range(0, len(jobs), 500):
        fields = {"job_ids": jobs[start : start + 500], "callback_url": URL}
        assert (await api.call("POST", "/v1/callbacks", json=fields))[0] == 201
    other = await api.register(job_id="0", callback_url=URL + "2")
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        params = {"callback_url": URL, "cursor": cursor}
        _, page = await api.call("GET", "/v1/callbacks", params=params)
        seen += [each["job_id"] for each in page["data"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == sorted(jobs)
    status, body = await api.call("DELETE", "/v1/callbacks", params={"callback_url": URL})
    assert (status, body["id"], body["count"]) == (200, URL, 1_100)
    assert (await api.call("GET", f"/v1/callbacks/{other['id']}"))[1]["state"] == "watching"
    _, live = await api.call("GET", "/v1/callbacks", params={"callback_url": URL, "state": "watching"})
    assert live["data"] == []

"""`Idempotency-Key` over HTTP."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from bridge.domain.ids import read_callback_job
from bridge.domain.subscriptions.callback import CallbackState
from bridge.domain.urls.policy import check_url
from bridge.services.jobs.registration import register
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.store import keys
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import BEARER, KEY, Client

OWN = "whsec_" + "QUJD" * 10
HEADERS = {**BEARER, "Idempotency-Key": "k-1"}
FIELDS = {"job_id": "1", "callback_url": "https://hooks.example.test/x"}


async def test_the_same_request_gets_the_stored_answer(api: Client) -> None:
    """Status, body and Location alike, though the callback is there already."""
    first = await api.ask("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    again = await api.ask("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    assert first[:2] == again[:2]
    assert first[0] == 201
    assert first[2]["Location"] == again[2]["Location"]
    assert ("Idempotent-Replayed" in first[2], "Idempotent-Replayed" in again[2]) == (False, True)


async def test_another_request_under_the_key_is_a_conflict(api: Client) -> None:
    """The key belongs to one request."""
    await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    status, body = await api.call("POST", "/v1/callbacks", json={**FIELDS, "job_id": "2"}, headers=HEADERS)
    assert (status, body["error"]["code"]) == (409, "CONFLICT")


async def test_a_refused_request_does_not_use_the_key_up(api: Client) -> None:
    """The client corrects it and sends it again."""
    bad = {**FIELDS, "events": ["odd"]}
    assert (await api.call("POST", "/v1/callbacks", json=bad, headers=HEADERS))[0] == 400
    unreachable = {**FIELDS, "verify": True}  # nobody listens at the upstream's address
    assert (await api.call("POST", "/v1/callbacks", json=unreachable, headers=HEADERS))[0] == 503
    assert (await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS))[0] == 201


@pytest.mark.parametrize(
    ("path", "fields"), [("/v1/callbacks", FIELDS), ("/v1/endpoints", {"url": FIELDS["callback_url"]})]
)
async def test_fifty_at_once_make_one_object(api: Client, path: str, fields: dict[str, str]) -> None:
    """All get the same answer, an endpoint's secret included."""
    answers = await asyncio.gather(*(api.ask("POST", path, json=fields, headers=HEADERS) for _ in range(50)))
    assert {status for status, *_ in answers} == {201}
    assert len({json.dumps(body) for _, body, _ in answers}) == 1
    assert len({headers["Location"] for *_, headers in answers}) == 1
    assert sum("Idempotent-Replayed" in headers for *_, headers in answers) == 49
    assert len((await api.call("GET", path))[1]["data"]) == 1


async def end(api: Client, callback_id: str) -> None:
    """Close a callback as its job's ending does, while nothing was sent to it yet."""
    key = read_callback_job(callback_id)
    assert key is not None
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    draft = UnitOfWork(key[0], now_ms=api.services.clock_ms(), retention_s=3600)
    (callback,) = loaded.record.callbacks
    ended = replace(callback, state=CallbackState.ENDED, closed_ms=draft.now_ms)
    draft.put_job(key, replace(loaded.record, callbacks=(ended,)), loaded)
    draft.hold(ended, 15_000)
    assert await api.services.store.committer.commit(draft.change()) == "done"


async def test_a_repeat_before_the_ending_was_sent_means_the_same_callback(api: Client) -> None:
    """The first answer was lost and the job has ended: the repeat is told so, gets its fields in, and lets it go."""
    redis, vault = api.services.store.redis, api.services.store.vault
    _, first = await api.call("POST", "/v1/callbacks", json=FIELDS)
    await end(api, first["id"])
    again = {**FIELDS, "secret": OWN}
    status, body = await api.call("POST", "/v1/callbacks", json=again)
    assert (status, body["id"], body["updated"], body["state"]) == (200, first["id"], True, "ended")
    loaded = await api.services.store.load_job(str(read_callback_job(first["id"])))
    assert loaded is not None
    assert vault.open(loaded.record.callbacks[0].secret or b"", record=first["id"]).decode() == OWN
    hold = keys.hold(first["id"])
    async with asyncio.timeout(5):
        while not 0 < await redis.pttl(hold) <= 1_000:
            assert await redis.exists(hold), "let go before the answer"
    await redis.delete(hold)  # sent: the same registration is a new one
    status, body = await api.call("POST", "/v1/callbacks", json=again)
    assert (status, body["state"], body["id"] == first["id"]) == (201, "watching", False)


async def test_a_repeat_holds_what_waits_until_it_is_answered(api: Client) -> None:
    """However little of the first hold was left: no POST comes before the answer of the registration that gets it."""
    _, first = await api.call("POST", "/v1/callbacks", json=FIELDS)
    await end(api, first["id"])
    await api.services.store.redis.pexpire(keys.hold(first["id"]), 5_000)
    url = check_url(FIELDS["callback_url"], api.services.policy)
    (again,) = await register(
        api.services, "prj_default", [RegisterCallback(kind="sync_job", job_id=FIELDS["job_id"], url=url)]
    )
    assert again.callback.id == first["id"]
    assert await api.services.store.redis.pttl(keys.hold(first["id"])) > 10_000


@pytest.mark.parametrize("request_name", ["", "a-name"])
async def test_a_repeat_while_its_callback_lives_holds_it_until_it_is_answered(
    api: Client, request_name: str
) -> None:
    """On a slow disk the repeat's answer may come later than the first hold lasts; an answered one is not held anew."""
    url = check_url(FIELDS["callback_url"], api.services.policy)
    command = RegisterCallback(kind="sync_job", job_id=FIELDS["job_id"], url=url, request=request_name)
    redis = api.services.store.redis
    (first,) = await register(api.services, "prj_default", [command])
    hold = keys.hold(first.callback.id)
    await redis.pexpire(hold, 5_000)
    (again,) = await register(api.services, "prj_default", [command])
    assert (again.callback.id, again.updated) == (first.callback.id, True)
    assert await redis.pttl(hold) > 10_000
    await redis.delete(hold)
    await register(api.services, "prj_default", [command])
    assert not await redis.exists(hold)


async def test_a_request_whose_process_died_makes_no_second_callback(api: Client) -> None:
    """Registered, but the answer neither kept nor sent: the same request finds its callback, even one that is over."""
    _, first = await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    idempotency = api.services.store.idempotency
    await idempotency.abandon("prj_default", "k-1")
    status, again = await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    assert (status, again["id"], again["state"]) == (200, first["id"], "watching")
    await api.call("DELETE", f"/v1/callbacks/{first['id']}")
    await idempotency.abandon("prj_default", "k-1")
    status, again = await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    assert (status, again["id"], again["state"]) == (200, first["id"], "cancelled")
    await idempotency.abandon("prj_default", "k-1")
    more = {**FIELDS, "metadata": "another request"}
    status, other = await api.call("POST", "/v1/callbacks", json=more, headers=HEADERS)
    assert (status, other["state"]) == (201, "watching")
    assert other["id"] != first["id"]


async def test_keys_are_apart_by_project_and_bounded(api: Client) -> None:
    """Another project's key is another key."""
    await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    _, other = await api.call("POST", "/v1/projects", json={"name": "b"})
    headers = {"X-API-Key": other["key"], "Idempotency-Key": "k-1"}
    status, body = await api.call("POST", "/v1/callbacks", json={**FIELDS, "job_id": "2"}, headers=headers)
    assert (status, body["error"]["details"]["field"]) == (400, "kind")  # no account there, but no conflict
    long = {**BEARER, "Idempotency-Key": "k" * 256}
    assert (await api.call("POST", "/v1/callbacks", json=FIELDS, headers=long))[0] == 400


async def test_a_key_that_is_no_text_is_refused(api: Client) -> None:
    """Bytes that are not UTF-8 are the client's mistake, and it is told which header."""
    body = json.dumps(FIELDS).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(api.url).port)
    head = f"POST /v1/callbacks HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\nIdempotency-Key: \xff\xfe\r\n\r\n" + body)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Idempotency-Key" in answer.partition(b"\r\n\r\n")[2]

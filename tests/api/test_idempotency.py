"""`Idempotency-Key` over HTTP."""

import asyncio

from tests.api.serving import BEARER, Client

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


async def test_fifty_at_once_make_one_callback(api: Client) -> None:
    """All get the same answer."""
    answers = await asyncio.gather(
        *(api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS) for _ in range(50))
    )
    assert {status for status, _ in answers} == {201}
    assert len({body["id"] for _, body in answers}) == 1
    assert len((await api.call("GET", "/v1/callbacks"))[1]["data"]) == 1


async def test_a_request_whose_process_died_makes_no_second_callback(api: Client) -> None:
    """Registered, but the answer neither kept nor sent: the same request finds its callback, even one that is over."""
    _, first = await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    await api.services.store.idempotency.abandon("prj_default", "k-1")
    await api.call("DELETE", f"/v1/callbacks/{first['id']}")
    status, again = await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    assert (status, again["id"], again["state"]) == (200, first["id"], "cancelled")
    status, other = await api.call("POST", "/v1/callbacks", json=FIELDS, headers=BEARER)
    assert (status, other["state"]) == (201, "watching")


async def test_keys_are_apart_by_project_and_bounded(api: Client) -> None:
    """Another project's key is another key."""
    await api.call("POST", "/v1/callbacks", json=FIELDS, headers=HEADERS)
    _, other = await api.call("POST", "/v1/projects", json={"name": "b"})
    headers = {"X-API-Key": other["key"], "Idempotency-Key": "k-1"}
    status, body = await api.call("POST", "/v1/callbacks", json={**FIELDS, "job_id": "2"}, headers=headers)
    assert (status, body["error"]["details"]["field"]) == (400, "kind")  # no account there, but no conflict
    long = {**BEARER, "Idempotency-Key": "k" * 256}
    assert (await api.call("POST", "/v1/callbacks", json=FIELDS, headers=long))[0] == 400

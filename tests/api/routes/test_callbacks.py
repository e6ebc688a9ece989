"""Callbacks over HTTP: register, read, change, delete."""

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from structlog.testing import capture_logs

from bridge.domain.deliveries.records import Attempt, DeliveryState
from bridge.store import keys
from tests.api.serving import BEARER, KEY, Client, settle, tell

URL = "https://hooks.example.test/resume/7?signature=s3cr3t&b=%2F"


async def test_a_registration_answers_as_the_contract_says(api: Client) -> None:
    """201, an absolute Location, every field; the URL as it was sent."""
    fields = {"job_id": 42, "callback_url": URL, "metadata": {"order": "42"}, "timeout_seconds": "30"}
    status, body, headers = await api.ask("POST", "/v1/callbacks", json=fields)
    assert status == 201
    assert headers["Location"] == f"{api.url}/v1/callbacks/{body['id']}"
    assert headers["Cache-Control"] == "no-store"
    assert body["id"].startswith("cb_")
    expected = {"object": "callback", "kind": "sync_job", "job_id": "42", "state": "watching", "once": True}
    assert expected.items() <= body.items()
    assert (body["callback_url"], body["metadata"], body["timeout_seconds"]) == (URL, {"order": "42"}, 30.0)
    assert "sync_job.completed" in body["events"]
    assert body["created_at"] < body["expires_at"]
    assert body["next_poll_at"][-5] == "."  # milliseconds


async def test_the_same_registration_updates(api: Client) -> None:
    """(kind, job, URL) is one callback; its other fields are taken over."""
    first = await api.register(job_id="1", metadata="a", callback_url=URL)
    status, again = await api.call(
        "POST", "/v1/callbacks", json={"job_id": 1, "metadata": "b", "callback_url": URL}
    )
    assert (status, again["id"], again["updated"], again["metadata"]) == (200, first["id"], True, "b")
    other = await api.register(job_id="1", callback_url=URL + "2")
    assert other["id"] != first["id"]
    assert "updated" not in other


async def test_job_ids_are_registered_all_or_none(api: Client) -> None:
    """One answer with every callback, its id the first one's; a bad id among them registers nothing."""
    status, body, headers = await api.ask(
        "POST", "/v1/callbacks", json={"job_ids": ["a", "b", "a"], "callback_url": "inbox:"}
    )
    assert status == 201
    assert [each["job_id"] for each in body["data"]] == ["a", "b"]
    assert body["id"] == body["data"][0]["id"]
    assert headers["Location"].endswith(body["id"])
    status, _ = await api.call(
        "POST", "/v1/callbacks", json={"job_ids": ["c", "d/e"], "callback_url": "inbox:"}
    )
    assert status == 400
    _, listed = await api.call("GET", "/v1/callbacks")
    assert {each["job_id"] for each in listed["data"]} == {"a", "b"}


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"callback_url": "ftp://a.example.test/"}, "scheme"),
        ({"callback_url": "https://10.0.0.1/x"}, None),
        ({"callback_url": "https://user:pw@a.example.test/"}, "userinfo"),
        ({"callback_url": "https://a.example.test/\r\nX: y"}, "bad_character"),
        ({"callback_url": "https://a.example.test/" + "x" * 4096}, "too_long"),
        ({"events": ["no.such"]}, None),
        ({"events": ["running"]}, None),
    ],
)
async def test_a_bad_url_or_filter_is_a_400(api: Client, fields: dict[str, Any], rule: str | None) -> None:
    """With the rule as a word for programs."""
    sent = {"job_id": "1", "callback_url": "inbox:", **fields}
    status, body = await api.call("POST", "/v1/callbacks", json=sent)
    assert status == 400
    assert body["error"]["code"] == "VALIDATION_ERROR"
    assert body["error"]["details"]["field"] == next(iter(fields))
    if rule is not None:
        assert body["error"]["details"]["rule"] == rule


async def test_our_own_api_is_no_receiver(api: Client) -> None:
    """A callback never leads back into the bridge."""
    port = urlsplit(api.url).port
    settings = api.services.settings
    own = f"http://127.0.0.1:{settings.port or port}/v1/callbacks"
    status, body = await api.call("POST", "/v1/callbacks", json={"job_id": "1", "callback_url": own})
    assert status == (400 if settings.port else 201), body


async def until_released(api: Client, callback_id: str) -> None:
    """Wait until the first delivery is held for a second at most."""
    async with asyncio.timeout(5):
        while await api.services.store.redis.pttl(keys.hold(callback_id)) > 1_000:  # noqa: ASYNC110 -- Redis tells nobody
            await asyncio.sleep(0.01)


async def test_first_deliveries_wait_for_the_answer(api: Client) -> None:
    """Held while the answer is written, released a second after it."""
    made = await api.register(job_id="1")
    await until_released(api, made["id"])


async def test_first_deliveries_wait_for_the_repeat_of_a_client_that_is_gone(api: Client) -> None:
    """A client that hangs up before its answer loses the answer, not its callback: its repeat finds it, and is answered."""
    redis = api.services.store.redis
    body = json.dumps({"job_id": "gone", "callback_url": "inbox:"}).encode()
    head = (
        f"POST /v1/callbacks HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(api.url).port)
    with capture_logs() as logs:
        await redis.client_pause(60_000, all=False)  # the registration waits for its write
        try:
            writer.write(head.encode() + body)
            async with asyncio.timeout(10):
                while not (await redis.info("clients"))["blocked_clients"]:  # noqa: ASYNC110 -- as above
                    await asyncio.sleep(0.01)
            writer.transport.abort()
        finally:
            await redis.client_unpause()
        async with asyncio.timeout(10):
            while "api.client_gone" not in {line["event"] for line in logs}:  # noqa: ASYNC110 -- logs tell nobody
                await asyncio.sleep(0.01)
    (found,) = (await api.call("GET", "/v1/callbacks?job_id=gone"))[1]["data"]
    assert await redis.pttl(keys.hold(found["id"])) > 1_000
    status, again = await api.call("POST", "/v1/callbacks", data=body)
    assert (status, again["id"]) == (200, found["id"])
    await until_released(api, found["id"])


async def test_lists_mask_urls_and_filter(api: Client) -> None:
    """By kind, job, URL and state; a page at a time, newest first."""
    made = [await api.register(job_id=f"j{n}", callback_url=URL) for n in range(3)]
    post = await api.register(generated_post_id="j0", callback_url=URL + "&p")
    await api.call("DELETE", f"/v1/callbacks/{made[1]['id']}")

    async def ids(query: str) -> list[str]:
        status, body = await api.call("GET", f"/v1/callbacks?{query}")
        assert status == 200, body
        assert "s3cr3t" not in json.dumps(body)
        return [each["id"] for each in body["data"]]

    newest_first = [post["id"], *(each["id"] for each in reversed(made))]
    assert await ids("") == newest_first
    assert await ids("kind=generated_post") == [post["id"]]
    assert set(await ids("job_id=j0")) == {post["id"], made[0]["id"]}
    assert await ids("kind=sync_job&job_id=j0") == [made[0]["id"]]
    assert set(await ids(f"callback_url={quote(URL, safe='')}")) == {each["id"] for each in made}
    assert await ids("state=cancelled") == [made[1]["id"]]
    assert await ids("job_id=none") == []
    paged: list[str] = []
    cursor = ""
    while True:
        _, page = await api.call("GET", f"/v1/callbacks?limit=2{cursor}")
        paged += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == newest_first


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "state=odd", "kind=odd", "cursor=%00", "cursor=zz"]
)
async def test_a_bad_query_names_its_field(api: Client, query: str) -> None:
    """A wrong filter is no empty list."""
    status, body = await api.call("GET", f"/v1/callbacks?{query}")
    assert (status, body["error"]["details"]["field"]) == (400, query.partition("=")[0])


async def test_the_whole_url_is_for_keys_that_manage(api: Client) -> None:
    """And never for a key that stands in a URL itself."""
    made = await api.register(job_id="1", callback_url=URL)
    path = f"/v1/callbacks/{made['id']}"
    assert (await api.call("GET", path))[1]["callback_url"] == URL
    _, reader = await api.call("POST", "/v1/keys", json={"scopes": ["read"]})
    for headers, query in (
        ({"X-API-Key": reader["key"]}, ""),
        ({}, f"?api_key={BEARER['Authorization'][7:]}"),
    ):
        status, body = await api.call("GET", path + query, headers=headers)
        assert status == 200
        assert "s3cr3t" not in body["callback_url"]


async def test_a_callback_can_be_changed(api: Client) -> None:
    """URL, headers, metadata, events and timeout; null removes, empty text is no value."""
    made = await api.register(job_id="1", callback_url=URL, metadata="a", timeout_seconds=30)
    path = f"/v1/callbacks/{made['id']}"
    change = {
        "callback_url": "https://new.example.test/x",
        "headers": {"X-A": "b"},
        "metadata": None,
        "events": ["failed"],
        "timeout_seconds": 60,
    }
    status, body = await api.call("PATCH", path, json=change)
    assert status == 200, body
    assert (body["callback_url"], body["metadata"]) == ("https://new.example.test/x", None)
    assert (body["events"], body["timeout_seconds"], body["id"]) == (["sync_job.failed"], 60.0, made["id"])
    assert "headers" not in body
    for bad, field in (
        ({}, None),
        ({"metadata": ""}, None),
        ({"events": ["odd"]}, "events"),
        ({"headers": {"host": "x"}}, "headers"),
        ({"callback_url": "ftp://x"}, "callback_url"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ):
        status, body = await api.call("PATCH", path, json=bad)
        assert (status, body["error"]["details"].get("field")) == (400, field)
    assert (await api.call("PATCH", "/v1/callbacks/cb_none", json={"metadata": "x"}))[0] == 404


async def test_deleting_is_idempotent_and_says_what(api: Client) -> None:
    """By id, by job, by URL; an empty value deletes nothing."""
    made = await api.register(job_id="1")
    for _ in range(2):
        assert await api.call("DELETE", f"/v1/callbacks/{made['id']}") == (
            200,
            {"id": made["id"], "deleted": True},
        )
    assert await api.call("DELETE", "/v1/callbacks/cb_none") == (200, {"id": "cb_none", "deleted": True})
    await api.register(job_id="2")
    await api.register(job_id="2", callback_url=URL)
    await api.register(job_id="3", callback_url=URL)
    answer = await api.call("DELETE", "/v1/callbacks?job_id=2")
    assert answer == (200, {"id": "2", "deleted": True, "count": 2})
    answer = await api.call("DELETE", f"/v1/callbacks?callback_url={quote(URL, safe='')}")
    assert answer == (200, {"id": URL, "deleted": True, "count": 1})
    for query in ("", "?job_id=", "?callback_url=", "?job_id=&callback_url=x", "?job_id=1&callback_url=x"):
        status, body = await api.call("DELETE", f"/v1/callbacks{query}")
        assert (status, body["error"]["code"]) == (400, "VALIDATION_ERROR"), query


async def test_the_timeline_tells_what_happened_and_what_comes(api: Client) -> None:
    """In words, oldest first, without the URL's query."""
    made = await api.register(job_id="1", callback_url=URL)
    event, delivery = await tell(api, made)
    attempt = Attempt(at_ms=api.services.clock_ms(), status=503, failure=None, reason="Busy.", duration_ms=12)
    await settle(api, delivery, DeliveryState.PARKED, attempt)
    status, body = await api.call("GET", f"/v1/callbacks/{made['id']}/timeline")
    assert status == 200
    assert [each["what"] for each in body["entries"]] == ["registered", "event", "attempt"]
    assert body["entries"][1]["id"] == event
    assert "status 503 after 12 ms. Busy." in body["entries"][2]["text"]
    texts = [each["text"] for each in body["next"]]
    assert any("The job is read again" in text for text in texts)
    assert any(f"POST /v1/deliveries/{delivery}/retry" in text for text in texts)
    assert "s3cr3t" not in json.dumps(body)


async def test_the_timeline_names_the_inbox_in_words(api: Client) -> None:
    """And not as the address that stands for it."""
    made = await api.register(job_id="1")
    _, delivery = await tell(api, made)
    kept = Attempt(at_ms=api.services.clock_ms(), status=200, failure=None, reason="Kept.", duration_ms=0)
    await settle(api, delivery, DeliveryState.SUCCEEDED, kept)
    _, body = await api.call("GET", f"/v1/callbacks/{made['id']}/timeline")
    kept_in = "what comes is kept in the inbox (GET /v1/inbox)"
    assert body["entries"][0]["text"] == f"Registered for sync_job 1; {kept_in}."
    assert body["entries"][2]["text"] == "Attempt 1 to the inbox: status 200 after 0 ms. Kept."


async def test_a_job_is_read_free_of_upstream_cost(api: Client) -> None:
    """What was last seen; a job that nobody registered is a 404, a kind that does not exist a 400."""
    await api.register(job_id="1")
    status, body = await api.call("GET", "/v1/jobs/sync_job/1")
    assert (status, body["id"], body["state"], body["data"], body["polls"]) == (200, "1", "watching", None, 0)
    assert (await api.call("GET", "/v1/jobs/sync_job/2"))[0] == 404
    assert (await api.call("GET", "/v1/jobs/odd/2"))[0] == 400

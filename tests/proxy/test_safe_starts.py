"""Calls that begin work with an Idempotency-Key: sent once, whatever becomes of the answer."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from tests.proxy.wire import Act, Answer, Proxied

BEGUN = json.dumps({"status": "started", "generated_post_id": "g1"}).encode()
BODY = b'{"source_post_id":"s1","persona_id":"n1"}'
GENERATE = b"POST /v1/generate HTTP/1.1"


def answer(status: bytes, body: bytes = BEGUN, *fields: bytes, kind: bytes = b"application/json") -> bytes:
    """Return a provider's answer."""
    head = [b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*head, b"", body])


async def begin(proxied: Proxied, *fields: bytes, body: bytes = BODY, line: bytes = GENERATE) -> Answer:
    """Send a call that begins work, with a key unless the fields bring one."""
    named = (
        fields
        if any(b"idempotency-key" in each.lower() for each in fields)
        else (b"Idempotency-Key: k1", *fields)
    )
    return await proxied.ask(
        line, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *named, body=body
    )


def reason(refused: Answer) -> tuple[int, bytes | None, dict[str, Any]]:
    """Return a refusal's status, its word, and its details."""
    return refused.status, refused.first(b"x-reelbridge-error"), json.loads(refused.body)["error"]["details"]


def posts(proxied: Proxied) -> int:
    """Return how many calls the provider got."""
    return sum(seen.line.startswith(b"POST") for seen in proxied.upstream.requests)


async def test_a_repetition_gets_the_first_answer(proxied: Proxied) -> None:
    """Status, headers and body, but for cookies; a mark tells that it is a replay."""
    proxied.upstream.answers = [answer(b"202 Accepted", BEGUN, b"X-A: 1", b"Set-Cookie: a=1")]
    first, second = await begin(proxied), await begin(proxied)
    assert posts(proxied) == 1
    assert (second.status, second.body) == (first.status, first.body) == (202, BEGUN)
    assert second.first(b"x-a") == b"1"
    assert (first.first(b"set-cookie"), second.first(b"set-cookie")) == (b"a=1", None)
    assert (first.first(b"idempotent-replayed"), second.first(b"idempotent-replayed")) == (None, b"true")
    assert proxied.upstream.requests[0].all_of(b"idempotency-key") == [b"k1"]


async def test_a_replay_tells_of_the_callback_of_the_first_call(proxied: Proxied) -> None:
    """A repetition registers nothing more."""
    proxied.upstream.answers = [answer(b"202 Accepted")]
    first, second = (
        await begin(proxied, b"X-Webhook-URL: inbox:"),
        await begin(proxied, b"X-Webhook-URL: inbox:"),
    )
    assert first.first(b"x-webhook-status") == b"registered"
    callback = first.first(b"x-webhook-callback-id")
    assert callback is not None
    assert second.first(b"x-webhook-callback-id") == callback


async def test_a_coded_answer_is_decoded_for_a_repetition_that_does_not_take_it(proxied: Proxied) -> None:
    """One that does gets the bytes as they came."""
    coded = gzip.compress(BEGUN)
    proxied.upstream.answers = [answer(b"202 Accepted", coded, b"Content-Encoding: gzip")]
    await begin(proxied, b"Accept-Encoding: gzip")
    same, plain = await begin(proxied, b"Accept-Encoding: br, gzip"), await begin(proxied)
    assert (same.body, same.first(b"content-encoding")) == (coded, b"gzip")
    assert (plain.body, plain.first(b"content-encoding")) == (BEGUN, None)


@pytest.mark.parametrize("coding", [b"gzip", b"br"])
async def test_an_answer_whose_coding_is_not_understood_is_repeated_as_it_came(
    proxied: Proxied, coding: bytes
) -> None:
    """A 400 would lead its client to call again with another key, and to pay twice."""
    proxied.upstream.answers = [answer(b"202 Accepted", b"no such coding", b"Content-Encoding: " + coding)]
    first, again = await begin(proxied), await begin(proxied)
    assert (again.status, again.body, again.first(b"idempotent-replayed")) == (202, first.body, b"true")
    assert again.first(b"content-encoding") == coding
    assert posts(proxied) == 1


async def test_another_request_under_the_key_is_told_what_differs(proxied: Proxied) -> None:
    """It is not sent."""
    proxied.upstream.answers = [answer(b"202 Accepted")]
    await begin(proxied)
    refused = await begin(proxied, body=b'{"source_post_id":"s2"}')
    assert reason(refused) == (422, b"key_reused", {"reason": "key_reused", "differs": ["body"]})
    refused = await begin(proxied, line=b"POST /v1/generate?x=1 HTTP/1.1")
    assert reason(refused)[2]["differs"] == ["path"]
    assert posts(proxied) == 1


async def test_repetitions_wait_for_the_call_that_is_under_way(proxied: Proxied) -> None:
    """All get its answer, and the provider got one call; its own client may be gone by then."""
    go_on = asyncio.Event()
    proxied.upstream.answers = [answering_after(go_on, answer(b"202 Accepted"))]
    async with proxied.connect() as leaving:
        fields = (
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(BODY),
            b"Idempotency-Key: k1",
        )
        await leaving.send(proxied.write(GENERATE, *fields, body=BODY))
        await proxied.upstream.wait(lambda upstream: len(upstream.requests) == 1)
    repeated = [asyncio.create_task(begin(proxied)) for _ in range(10)]
    await asyncio.sleep(0)
    go_on.set()
    assert [(each.status, each.body) for each in await asyncio.gather(*repeated)] == [(202, BEGUN)] * 10
    assert posts(proxied) == 1


def answering_after(event: asyncio.Event, data: bytes) -> Act:
    """Return an upstream that answers once an event is set."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await event.wait()
        writer.write(data)
        await writer.drain()

    return act


@pytest.mark.parametrize("status", [b"400 Bad", b"402 Pay", b"422 No", b"429 Slow", b"307 There"])
async def test_a_refused_call_may_be_made_again(proxied: Proxied, status: bytes) -> None:
    """Also with a corrected body: the provider has begun nothing."""
    proxied.upstream.answers = [answer(status, b"{}"), answer(b"202 Accepted")]
    assert (await begin(proxied)).status == int(status[:3])
    assert (await begin(proxied, body=b'{"fixed":1}')).status == 202
    assert posts(proxied) == 2


@pytest.mark.parametrize(
    "lost",
    [
        answer(b"500 No", b"{}"),
        answer(b"503 No", b"{}"),
        answer(b"200 OK", b"<html>", kind=b"text/html"),
        answer(b"403 No", b"<html>", kind=b"text/html; charset=utf-8"),
        b"HTTP/1.1 202 OK\r\nContent-Length: 99\r\n\r\n{",
        b"",
    ],
)
async def test_an_unclear_answer_is_never_followed_by_a_second_call(proxied: Proxied, lost: bytes) -> None:
    """What came is passed on, or a 504 says that it was lost; a repetition gets a 409, and the bridge only looks."""

    async def lose(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(lost)
        await writer.drain()

    proxied.upstream.answers = [lose]
    first = await begin(proxied)
    whole = lost.endswith((b"}", b">"))
    assert first.status == (int(lost[9:12]) if whole else 504)
    assert (first.first(b"x-reelbridge-error") is None) is whole
    proxied.upstream.answers = [answer(b"404 No", b'{"error":{"code":"NOT_FOUND","message":"no"}}')]
    for _ in range(3):
        assert reason(await begin(proxied))[:2] == (409, b"unknown_outcome")
    assert posts(proxied) == 1


@pytest.mark.parametrize("keys", [(b"",), (b"a", b"b"), (b"k" * 256,)])
async def test_a_key_that_is_none_sends_nothing(proxied: Proxied, keys: tuple[bytes, ...]) -> None:
    """An empty one, two, or one that is too long: guessing could begin work twice."""
    assert (await begin(proxied, *(b"Idempotency-Key: " + key for key in keys))).status == 400
    assert posts(proxied) == 0


async def test_a_large_answer_is_not_replayed(proxied: Proxied) -> None:
    """A repetition learns what was begun."""
    large = BEGUN[:-1] + b',"x":"' + b"x" * 300_000 + b'"}'
    proxied.upstream.answers = [answer(b"202 Accepted", large)]
    assert (await begin(proxied)).body == large
    assert reason(await begin(proxied)) == (409, b"consumed", {"reason": "consumed", "found": ["g1"]})


async def test_keys_of_projects_and_calls_without_a_key_stand_by_themselves(proxied: Proxied) -> None:
    """Without a key each call is sent; another call's path is no start and is sent, too."""
    proxied.upstream.answers = [answer(b"202 Accepted")]
    for _ in range(2):
        await proxied.ask(GENERATE, b"Content-Length: %d" % len(BODY), body=BODY)
    assert posts(proxied) == 2
    for _ in range(2):
        await begin(proxied, line=b"POST /v1/personas HTTP/1.1")
    assert posts(proxied) == 4

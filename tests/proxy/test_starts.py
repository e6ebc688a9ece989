"""Calls that begin work and name a callback URL, byte for byte."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bridge.domain.ids import job_key
from bridge.store.records import Wanted
from bridge.store.tables.projects import DEFAULT
from tests.proxy.wire import Act, Proxied, proxying

URL = b"https://hooks.example/a"
BODY = b'{"source_post_id":"s1","persona_id":"n1","cost":1.50}'
GENERATE = b"POST /v1/generate HTTP/1.1"
PATIENCE_S = 10  # less than a hold lasts by itself
T = TypeVar("T")


def answer(body: bytes, *fields: bytes) -> bytes:
    """Return a provider's answer that is complete."""
    head = [b"HTTP/1.1 202 Fine", b"Content-Length: %d" % len(body), b"x-A: 1", *fields]
    return b"\r\n".join([*head, b"", body])


def head(body: bytes = BODY, *fields: bytes) -> tuple[bytes, ...]:
    return (b"Content-Type: application/json", b"Content-Length: %d" % len(body), *fields)


async def list_callbacks(proxied: Proxied) -> list[dict[str, Any]]:
    _, listed = await proxied.api.call("GET", "/v1/callbacks")
    callbacks: list[dict[str, Any]] = listed["data"]
    return callbacks


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_an_answer_gains_two_headers(proxied: Proxied, coding: str) -> None:
    """Nothing else of it changes, and the request loses what is for the bridge."""
    body = json.dumps({"status": "started", "generated_post_id": "g1"}).encode()
    fields = [b"Content-Encoding: gzip"] if coding else []
    sent = answer(gzip.compress(body) if coding else body, *fields)
    proxied.upstream.answers = [sent]
    got = await proxied.ask(GENERATE, *head(BODY, b"X-Webhook-URL: " + URL), body=BODY)
    (callback,) = await list_callbacks(proxied)
    assert (callback["kind"], callback["job_id"]) == ("generated_post", "g1")
    added = b"\r\nX-Webhook-Status: registered\r\nX-Webhook-Callback-Id: " + callback["id"].encode()
    assert (got.head + got.body).replace(added, b"") == sent
    (seen,) = proxied.upstream.requests
    assert (seen.body, seen.all_of(b"x-webhook-url")) == (BODY, [])


async def test_a_field_is_taken_out_byte_for_byte(proxied: Proxied) -> None:
    """The provider gets the length of what is left, and a target without the query's part."""
    proxied.upstream.answers = [answer(b'{"generated_post_id":"g1"}')]
    body = BODY[:-1] + b',"webhook_url":"' + URL + b'"}'
    line = b"POST /v1/generate?a=%7e&webhook_url=" + URL + b" HTTP/1.1"
    got = await proxied.ask(line, *head(body), body=body)
    assert got.first(b"x-webhook-status") == b"registered"
    (seen,) = proxied.upstream.requests
    assert (seen.line, seen.body) == (b"POST /base/api/v1/generate?a=%7e HTTP/1.1", BODY)
    assert seen.all_of(b"content-length") == [b"%d" % len(BODY)]


async def test_nothing_is_taken_out_where_that_is_switched_off(store_socket: Path) -> None:
    """Header, query and field are the provider's then, and nothing is registered."""
    body = BODY[:-1] + b',"webhook_url":"' + URL + b'"}'
    line = b"POST /v1/generate?webhook_url=" + URL + b" HTTP/1.1"
    async with proxying(store_socket, proxy_intercept="off") as proxied:
        proxied.upstream.answers = [answer(b'{"generated_post_id":"g1"}')]
        got = await proxied.ask(line, *head(body, b"X-Webhook-URL: " + URL), body=body)
        (seen,) = proxied.upstream.requests
        assert (seen.body, seen.all_of(b"x-webhook-url")) == (body, [URL])
        assert b"webhook_url" in seen.line
        assert got.first(b"x-webhook-status") is None
        assert await list_callbacks(proxied) == []


async def test_an_answer_that_breaks_off_leaves_it_open(proxied: Proxied) -> None:
    """The work may have begun: the client learns that it is looked for, and not half an answer."""
    proxied.upstream.answers = [cut_off]
    got = await proxied.ask(GENERATE, *head(BODY, b"X-Webhook-URL: " + URL), body=BODY)
    assert (got.status, got.first(b"x-reelbridge-error")) == (504, b"start_unknown")
    assert got.first(b"x-webhook-status") == b"pending"
    assert len(proxied.upstream.requests) == 1


async def cut_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 202 Fine\r\nContent-Length: 50\r\n\r\n{"generated')
    await writer.drain()


async def test_a_client_that_goes_away_holds_no_delivery_back(proxied: Proxied) -> None:
    """The call is registered without it, and there is no answer that deliveries have to wait for."""
    proxied.upstream.answers = [answers_when(gone := asyncio.Event())]
    async with proxied.connect() as line:
        await line.send(proxied.write(GENERATE, *head(BODY, b"X-Webhook-URL: " + URL), body=BODY))
        await proxied.upstream.wait(lambda upstream: len(upstream.requests) == 1)
    gone.set()
    (callback,) = await until(lambda: list_callbacks(proxied))
    wanted = Wanted(holds=[callback["id"]])

    async def is_released() -> bool:
        return not (await proxied.api.services.store.load_many(wanted)).holds

    await until(is_released)


async def until(true: Callable[[], Awaitable[T]]) -> T:
    """Ask until an answer is truthy, and return it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if answered := await true():
                return answered
            await asyncio.sleep(0.02)


def answers_when(told: asyncio.Event) -> Act:
    """Return an upstream that answers once it is told to."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await told.wait()
        writer.write(answer(b'{"generated_post_id":"g1"}'))
        await writer.drain()
        await asyncio.Event().wait()

    return act


async def test_what_an_unguarded_call_began_is_noted(proxied: Proxied) -> None:
    """It names no URL and has no key, so that its answer passes; an uncertain call is not taken for it."""
    proxied.upstream.answers = [answer(b'{"status":"started","generated_post_id":"g7"}')]
    assert (await proxied.ask(GENERATE, *head(), body=BODY)).status == 202
    store = proxied.api.services.store
    account = next(each for each in await store.accounts.list(DEFAULT) if each.provider == "reelmirror")
    key = job_key(store.shard_of(account.id), account.id, "generated_post", "g7")
    async with asyncio.timeout(PATIENCE_S):
        while not (noted := await store.starts.started_by([key])):  # noqa: ASYNC110 -- Redis tells nobody
            await asyncio.sleep(0.01)
    assert noted[key][0] == ""


@pytest.mark.parametrize(
    ("events", "status"),
    [
        (["generated_post.failed"], b"registered"),
        (["*"], b"registered"),
        (["sync_job.*"], None),
    ],
)
async def test_what_begins_without_a_url_is_watched_for_an_endpoint(
    proxied: Proxied, events: list[str], status: bytes | None
) -> None:
    """If it asks for any event of such jobs; the answer names no callback, a repetition neither."""
    made = await proxied.api.call("POST", "/v1/endpoints", json={"url": "inbox:", "events": events})
    assert made[0] == 201
    proxied.upstream.answers = [answer(b'{"status":"started","generated_post_id":"g1"}')]
    fields = head(BODY, b"Idempotency-Key: k1")
    for _ in range(2):
        got = await proxied.ask(GENERATE, *fields, body=BODY)
        assert (got.status, got.first(b"x-webhook-status")) == (202, status)
        assert got.first(b"x-webhook-callback-id") is None
    assert len(proxied.upstream.requests) == 1
    watched = [(each["kind"], each["job_id"], each["callback_url"]) for each in await list_callbacks(proxied)]
    assert watched == ([("generated_post", "g1", "wait:")] if status else [])


async def test_a_url_of_ones_own_comes_before_the_endpoints_watch(proxied: Proxied) -> None:
    """And with interception off, or an answer that begins nothing, nothing is watched."""
    await proxied.api.call("POST", "/v1/endpoints", json={"url": "inbox:"})
    proxied.upstream.answers = [answer(b'{"status":"started","generated_post_id":"g1"}')]
    got = await proxied.ask(GENERATE, *head(BODY, b"X-Webhook-URL: " + URL), body=BODY)
    (callback,) = await list_callbacks(proxied)
    assert got.first(b"x-webhook-callback-id") == callback["id"].encode()
    proxied.upstream.answers = [answer(b"{}").replace(b"202 Fine", b"400 Bad Request")]
    got = await proxied.ask(GENERATE, *head(), body=BODY)
    assert got.first(b"x-webhook-status") == b"none; reason=refused"

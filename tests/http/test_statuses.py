"""What a receiver answers and what the sender makes of it, always with one attempt."""

import asyncio
import base64
import contextlib
import gzip
import json
import time
import zlib
from email.utils import formatdate

import pytest
import standardwebhooks

from bridge.domain.deliveries.retry import Verdict, judge
from bridge.domain.deliveries.signing import sign
from bridge.domain.js_json import to_js_json
from tests.http.receivers import OK, post, receive, sending


def _status(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_the_request_on_the_wire_is_as_documented() -> None:
    """Target byte for byte, exact content type, our user agent, each of the caller's headers once, the given body."""
    body = '{"text":"h\u00e9 \U0001f600"}'.encode()
    target = "/hook%2Fa/../b?sig=a%2Bb+c&&x=[1]{}|^"
    async with receive(OK) as receiver, sending() as sender:
        answer = await post(
            sender, receiver.url(target), body=body, headers={"X-Key": "k", "webhook-id": "evt_1"}
        )
    line, headers, received = receiver.requests[0]
    assert line == f"POST {target} HTTP/1.1"
    assert received == body
    assert headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "user-agent": "reelbridge/test",
        "accept": "*/*",
        "accept-encoding": "identity",
        "x-key": "k",
        "webhook-id": "evt_1",
    }
    assert (answer.status, answer.excerpt, judge(answer)) == (200, "ok", Verdict.SUCCEEDED)


async def test_a_receiver_may_be_sent_its_own_user_agent() -> None:
    """A static header replaces ours instead of being sent beside it."""
    async with receive(OK) as receiver, sending() as sender:
        await post(sender, receiver.url(), headers={"User-Agent": "mine/1"})
    assert receiver.requests[0][1]["user-agent"] == "mine/1"


async def test_the_received_bytes_verify_with_the_published_package() -> None:
    """Unicode, a lone surrogate, NUL and numbers: what arrives is what was signed."""
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    body = to_js_json({"10": 12.0, "text": "h\u00e9\U0001f600\x00\ud800\u2028", "big": "x" * 200_000})
    at_s = int(time.time())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": sign([secret], event_id="evt_1", timestamp_s=at_s, body=body),
    }
    async with receive(OK) as receiver, sending() as sender:
        await post(sender, receiver.url(), body=body, headers=headers)
    _, received_headers, received = receiver.requests[0]
    assert received == body
    standardwebhooks.Webhook(secret).verify(received, received_headers)


@pytest.mark.parametrize(
    "status", [200, 201, 202, 204, 299, 300, 304, 400, 401, 404, 409, 410, 422, 429, 500, 503]
)
async def test_a_status_is_reported_as_it_came(status: int) -> None:
    """No status raises, and each takes one attempt."""
    async with receive(_status(status)) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.failure, len(receiver.requests)) == (status, None, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_its_target_is_never_called(status: int) -> None:
    """Following a redirect would carry the signature to another host."""
    async with (
        receive(OK) as other,
        receive(_status(status, f"Location: {other.url('/elsewhere')}")) as receiver,
        sending() as sender,
    ):
        answer = await post(sender, receiver.url())
    assert (answer.status, judge(answer)) == (status, Verdict.RETRY)
    assert "none is followed" in answer.reason
    assert (len(receiver.requests), other.connects) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "status", "seconds"),
    [
        (("Retry-After: 120",), 429, 120.0),
        (("Retry-After: 120",), 503, 120.0),
        (("Retry-After: 120",), 500, None),  # only 429 and 503 may ask for a pause
        (("Retry-After: -1",), 429, None),
        (("Retry-After: soon",), 429, None),
        (("Retry-After: 5", "Retry-After: 60"), 429, 60.0),
        ((), 429, None),
    ],
)
async def test_retry_after_is_read_where_it_applies(
    fields: tuple[str, ...], status: int, seconds: float | None
) -> None:
    """Seconds, garbage, a repeated header, and a status to which it does not apply."""
    async with receive(_status(status, *fields)) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert answer.retry_after_s == seconds


async def test_retry_after_as_a_date_counts_from_now() -> None:
    """An HTTP-date ninety seconds ahead means about ninety seconds."""
    date = formatdate(time.time() + 90, usegmt=True)
    async with receive(_status(503, f"Retry-After: {date}")) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert answer.retry_after_s is not None
    assert 80 <= answer.retry_after_s <= 91


async def test_cookies_are_not_kept() -> None:
    """A receiver cannot recognise the sender by a cookie."""
    async with receive(_status(200, "Set-Cookie: a=b; Path=/")) as receiver, sending() as sender:
        await post(sender, receiver.url())
        await post(sender, receiver.url())
    assert "cookie" not in receiver.requests[1][1]


async def test_a_web_page_is_a_success_with_a_warning() -> None:
    """A proxy's page answers 200 to anything."""
    page = _status(200, "Content-Type: text/html; charset=utf-8", body=b"<html>")
    async with receive(page) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert judge(answer) is Verdict.SUCCEEDED_WITH_WARNING
    assert "web page" in answer.reason


async def test_an_n8n_execution_that_is_over_stops_the_delivery() -> None:
    """n8n's 409 says so in its body."""
    body = json.dumps({"code": 409, "message": 'The execution "12" has finished already.'}).encode()
    async with (
        receive(_status(409, "Content-Type: application/json", body=body)) as receiver,
        sending() as sender,
    ):
        answer = await post(sender, receiver.url())
    assert judge(answer) is Verdict.FINISHED


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b'{"ok":true}', mtime=0)),
        ("x-gzip", gzip.compress(b'{"ok":true}', mtime=0)),
        ("deflate", zlib.compress(b'{"ok":true}')),
    ],
)
async def test_a_compressed_answer_is_readable_though_none_was_asked_for(coding: str, packed: bytes) -> None:
    """Some proxies compress whatever the client accepts."""
    async with (
        receive(_status(200, f"Content-Encoding: {coding}", body=packed)) as receiver,
        sending() as sender,
    ):
        answer = await post(sender, receiver.url())
        await post(sender, receiver.url())
    assert answer.excerpt == '{"ok":true}'
    assert receiver.connects == 1  # read to its end, so the connection was kept


async def test_an_echoing_receiver_shows_neither_headers_nor_the_urls_query() -> None:
    """If a receiver repeats its own secrets in the response, the excerpt that people read has them masked."""
    unchanged = b'{"key":"receiver-secret","token":"query-secret","id":"evt_12345","note":"kept"}\x00\x1b[0m'
    async with receive(_status(500, body=unchanged)) as receiver, sending() as sender:
        answer = await post(
            sender,
            receiver.url("/?token=query-secret&a=1"),
            headers={"X-Key": "receiver-secret", "webhook-id": "evt_12345"},
        )
    assert answer.excerpt == '{"key":"***","token":"***","id":"evt_12345","note":"kept"}\ufffd\ufffd[0m'


async def test_the_excerpt_is_short_text_whatever_the_bytes() -> None:
    """A body that is not UTF-8 and longer than what is stored."""
    async with receive(_status(500, body=b"\xff\xfe" * 3000)) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert answer.excerpt == "\ufffd" * 1024


async def test_proxies_from_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery goes to the checked address and nowhere else."""
    async with receive(OK) as proxy, receive(OK) as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        async with sending() as sender:
            await post(sender, receiver.url())
    assert (proxy.connects, len(receiver.requests)) == (0, 1)


async def test_a_cancelled_attempt_is_cancelled() -> None:
    """A cancellation is not reported as an outcome of the receiver."""

    async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with receive(never) as receiver, sending() as sender:
        attempt = asyncio.create_task(post(sender, receiver.url()))
        async with asyncio.timeout(10):
            await receiver.called.wait()
        attempt.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt
        assert attempt.cancelled()

"""The answer to a call that began work: the provider's own, and what became of the callback that the call named."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from bridge.api.requests.content_coding import decode_content
from bridge.errors import BridgeError
from bridge.http.client.response_head import Field
from bridge.proxy.answer_writer import WrittenAnswer, must_close
from bridge.services.starts.conclude import Finished

READ_BYTES = 4 * 1024 * 1024  # of an answer, without its coding


def read_json(body: bytes, fields: Sequence[Field]) -> object:
    """Return what an answer holds, None where that cannot be read."""
    coding = next((value for name, value in fields if name.lower() == b"content-encoding"), b"")
    try:
        decoded: object = msgspec.json.decode(
            decode_content(body, coding.decode("latin-1"), limit=READ_BYTES)
        )
    except (BridgeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return decoded


def list_status_fields(finished: Finished) -> list[Field]:
    """Return the headers that tell what was registered for a call."""
    if finished.pending:
        return [(b"X-Webhook-Status", b"pending")]
    if not finished.registered:
        return [refusal_field(finished.reason or "no_job")]
    ids = ", ".join(finished.registered).encode()
    return [(b"X-Webhook-Status", b"registered"), (b"X-Webhook-Callback-Id", ids)]


def refusal_field(reason: str) -> Field:
    """Return the header that tells that nothing is watched, and why, in a word."""
    return b"X-Webhook-Status", b"none; reason=%b" % reason.encode()


async def write_whole(
    request: web.BaseRequest, status: int, reason: bytes, fields: Sequence[Field], body: bytes
) -> WrittenAnswer:
    """Write an answer whose body is at hand; raise ConnectionError where the client is gone."""
    is_last = must_close(request)
    added: list[Field] = []
    if not any(name.lower() == b"content-length" for name, _ in fields) and status != 204:
        added.append((b"Content-Length", b"%d" % len(body)))
    if is_last:
        added.append((b"Connection", b"close"))
    line = b"HTTP/1.1 %d %b" % (status, reason or _name_status(status))
    head = b"\r\n".join([line, *[b"%b: %b" % field for field in (*fields, *added)], b"", b""])
    await request.writer.write(head + body)
    return WrittenAnswer(status, is_last=is_last)


def _name_status(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""

"""The answer to a call that began work: the provider's own, and what became of the callback that the call named."""

from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.api.requests.content_coding import decode_content
from bridge.errors import BridgeError
from bridge.http.client.response_head import Field
from bridge.proxy.answer_writer import WrittenAnswer, must_close
from bridge.services.starts.conclude import Finished

READ_BYTES = 4 * 1024 * 1024  # of an answer, without its coding


class StartReply(Struct, frozen=True, kw_only=True):
    """What a client gets, and the callbacks whose deliveries wait until it has got it."""

    status: int
    reason: bytes
    fields: tuple[Field, ...]
    body: bytes
    registered: tuple[str, ...] = ()


class Meaning(StrEnum):
    """What the status and fields of an answer say about the work."""

    DONE = "done"
    REFUSED = "refused"  # before any work
    UNCLEAR = "unclear"  # the charge may precede a failure, and a page is not the provider's own answer


def judge_answer(status: int, fields: Sequence[Field]) -> Meaning:
    """Return what an answer to a call that begins work means."""
    kind = next((value for name, value in fields if name.lower() == b"content-type"), b"")
    is_page = kind.strip().lower().startswith(b"text/html")
    if 300 <= status < 400 or (400 <= status < 500 and not is_page):
        return Meaning.REFUSED
    return Meaning.UNCLEAR if is_page or not 200 <= status < 300 else Meaning.DONE


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


def list_status_fields(finished: Finished, *, watched: bool) -> list[Field]:
    """Return the headers that tell what was registered for a call; `watched`: for endpoints, so that no callback has an id."""
    if finished.pending:
        return [(b"X-Webhook-Status", b"pending")]
    if not finished.registered:
        return [refusal_field(finished.reason or "no_job")]
    if watched:
        return [(b"X-Webhook-Status", b"registered")]
    ids = ", ".join(finished.registered).encode()
    return [(b"X-Webhook-Status", b"registered"), (b"X-Webhook-Callback-Id", ids)]


def refusal_field(reason: str) -> Field:
    """Return the header that tells that nothing is watched, and why, in a word."""
    return b"X-Webhook-Status", b"none; reason=%b" % reason.encode()


async def write_whole(request: web.BaseRequest, reply: StartReply) -> WrittenAnswer:
    """Write an answer whose body is at hand; raise ConnectionError where the client is gone."""
    status, fields, body = reply.status, reply.fields, reply.body
    is_last = must_close(request)
    added: list[Field] = []
    if not any(name.lower() == b"content-length" for name, _ in fields) and status != 204:
        added.append((b"Content-Length", b"%d" % len(body)))
    if is_last:
        added.append((b"Connection", b"close"))
    line = b"HTTP/1.1 %d %b" % (status, reply.reason or _name_status(status))
    head = b"\r\n".join([line, *[b"%b: %b" % field for field in (*fields, *added)], b"", b""])
    await request.writer.write(head + body)
    return WrittenAnswer(status, is_last=is_last)


def _name_status(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""

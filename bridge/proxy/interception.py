"""Find out whether a proxied call begins work for which a callback is wanted."""

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.api.requests.content_coding import decode_content, too_large
from bridge.domain.urls.policy import UrlPolicy
from bridge.errors import ValidationFailed
from bridge.http.client.response_head import Field
from bridge.http.client.upload import Upload
from bridge.providers.registry import PROVIDERS
from bridge.providers.start_spec import find_start
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.starts import StartCall
from bridge.proxy.webhook_options import HEADERS, plan_registration, read_wish

BODY_BYTES = 1024 * 1024  # of a call that begins work
URL_HEADER = b"x-webhook-url"
_CODINGS = frozenset((b"gzip", b"deflate", b"identity"))


def is_start(call: ProxyCall) -> bool:
    """Return whether a call begins work."""
    return find_start(PROVIDERS[call.provider].starts, call.method, call.path) is not None


def names_url(call: ProxyCall) -> bool:
    """Return whether a call names a callback URL in its headers."""
    return any(name.lower() == URL_HEADER for name, _ in call.fields)


async def read_body(opened: bytes | Upload, *, within_s: float) -> bytes:
    """Return the body of a call that begins work, whole; raise PayloadTooLarge, or ValidationFailed if it does not come."""
    if not isinstance(opened, Upload):
        return opened
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for piece in opened.pieces:
                body += piece
                if len(body) > BODY_BYTES:
                    raise too_large(BODY_BYTES)
    except TimeoutError:
        raise ValidationFailed("body", f"not complete after {within_s:.0f} seconds: send it again") from None
    return bytes(body)


def read_start(call: ProxyCall, body: bytes, policy: UrlPolicy) -> tuple[ProxyCall, StartCall | None]:
    """Return a start with where its callback goes, and the call as it goes on; None if it names no URL.

    Raise ValidationFailed for a URL or an option that is refused: nothing is sent then.
    """
    found = find_start(PROVIDERS[call.provider].starts, call.method, call.path)
    assert found is not None, "it is a start"
    spec, variables = found
    coding = b",".join(value for name, value in call.fields if name.lower() == b"content-encoding")
    plain = decode_content(body, coding.decode("latin-1"), limit=BODY_BYTES)
    wish = read_wish(call.fields, call.target, plain)
    if not wish.url:
        return call, None
    webhook = plan_registration(wish, kind=spec.kind, policy=policy)
    dropped = {*HEADERS, *((b"content-encoding", b"content-length") if wish.is_rewritten else ())}
    fields = [_narrow(each) for each in call.fields if each[0].lower() not in dropped]
    sent = wish.body if wish.is_rewritten else body
    request = {**_read_object(plain), **variables}
    start = StartCall(spec=spec, request=request, webhook=webhook, body=sent)
    return dataclasses.replace(call, target=wish.target, fields=fields), start


def _narrow(field: Field) -> Field:
    """Return a field; of the codings that a client takes, those that the bridge can read an answer in."""
    name, value = field
    if name.lower() != b"accept-encoding":
        return field
    kept = [each.strip() for each in value.split(b",") if each.partition(b";")[0].strip().lower() in _CODINGS]
    return name, b", ".join(kept) or b"identity"


def _read_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

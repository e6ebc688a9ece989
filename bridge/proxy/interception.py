"""Find out whether a proxied call begins work that is called back, or must not be begun twice."""

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
from bridge.providers.start_spec import StartSpec, find_start
from bridge.proxy.idempotency_key import read_idempotency_key, take_fingerprint
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.starts import StartCall
from bridge.proxy.webhook_options import NO_WISH, plan_registration, read_wish
from bridge.services.context import Services
from bridge.services.jobs.watching import is_heard_of, watch_command

BODY_BYTES = 1024 * 1024  # of a call that begins work
_CODINGS = frozenset((b"gzip", b"deflate", b"identity"))


def is_start(call: ProxyCall) -> bool:
    """Return whether a call begins work."""
    return find_start(PROVIDERS[call.provider].starts, call.method, call.path) is not None


async def is_watched(services: Services, call: ProxyCall) -> bool:
    """Return whether what a call begins is to be watched although it may name no URL: an endpoint asks for it."""
    found = find_start(PROVIDERS[call.provider].starts, call.method, call.path)
    if found is None or not call.is_intercepted or not call.caller.has_account:
        return False
    return await is_heard_of(services, call.caller.project, found[0].kind)


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


def read_request(call: ProxyCall, body: bytes) -> tuple[StartSpec, Mapping[str, Any]]:
    """Return which start a call is, and the fields of its request."""
    found = find_start(PROVIDERS[call.provider].starts, call.method, call.path)
    assert found is not None, "it is a start"
    spec, variables = found
    return spec, {**_read_object(_decode(call, body)), **variables}


def read_start(
    call: ProxyCall, body: bytes, policy: UrlPolicy, *, watch: bool = False
) -> tuple[ProxyCall, StartCall | None]:
    """Return a start with where its callback goes, and the call as it goes on; None without a URL and an Idempotency-Key.

    With `watch` what a start without a URL begins is watched, because an endpoint asks for it. Raise ValidationFailed for a URL, an option or a key that is refused: nothing is sent then.
    """
    found = find_start(PROVIDERS[call.provider].starts, call.method, call.path)
    assert found is not None, "it is a start"
    spec, variables = found
    key = read_idempotency_key(call.fields)
    plain = _decode(call, body)
    wish = read_wish(call.fields, call.target, plain) if call.is_intercepted else NO_WISH
    if not wish.url and key is None and not watch:
        return call, None
    watches = watch_command(spec.kind) if watch else None
    start = StartCall(
        spec=spec,
        request={**_read_object(plain), **variables},
        webhook=plan_registration(wish, kind=spec.kind, policy=policy) if wish.url else watches,
        body=wish.body if wish.is_rewritten else body,
        key=key,
        fingerprint=take_fingerprint(call, body),
    )
    dropped = {b"content-encoding", b"content-length"} if wish.is_rewritten else set()
    fields = [_narrow(each) for each in call.fields if each[0].lower() not in dropped]
    return dataclasses.replace(call, target=wish.target or call.target, fields=fields), start


def _decode(call: ProxyCall, body: bytes) -> bytes:
    """Return a body without its content coding, empty where that cannot be undone; raise PayloadTooLarge.

    Such a body is the provider's to judge: it names nothing here, and goes on as it is.
    """
    coding = b",".join(value for name, value in call.fields if name.lower() == b"content-encoding")
    try:
        return decode_content(body, coding.decode("latin-1"), limit=BODY_BYTES)
    except ValidationFailed:
        return b""


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

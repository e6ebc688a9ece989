"""The Idempotency-Key of a proxied call that begins work. No I/O."""

import hashlib
from collections.abc import Sequence

from bridge.domain.starts.records import Fingerprint
from bridge.errors import ValidationFailed
from bridge.http.client.response_head import Field
from bridge.proxy.proxy_call import ProxyCall

HEADER = "Idempotency-Key"
MAX_BYTES = 255


def read_idempotency_key(fields: Sequence[Field]) -> str | None:
    """Return the key as it was sent, with quotes if it has some; None without one.

    Raise ValidationFailed for two, an empty or a long one: guessing which call is meant could begin work twice.
    """
    found = [value for name, value in fields if name.lower() == HEADER.lower().encode()]
    if not found:
        return None
    if len(found) > 1:
        raise ValidationFailed(HEADER, "send this header once")
    (key,) = found
    if not 0 < len(key) <= MAX_BYTES:
        raise ValidationFailed(HEADER, f"between 1 and {MAX_BYTES} bytes: use a UUID")
    return key.decode("latin-1")


def take_fingerprint(call: ProxyCall, body: bytes) -> Fingerprint:
    """Return what must be the same in a repetition of a call, whose body is as it came."""
    kind = b",".join(value for name, value in call.fields if name.lower() == b"content-type")
    return Fingerprint(call.method, _hash(call.target.encode()), _hash(kind + b"\0" + body))


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]

"""Answers as bytes."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from bridge.errors import BridgeError

_ENCODER = msgspec.json.Encoder()


def to_json(value: Any) -> bytes:
    """Compact JSON; what holds half of a character gets a replacement instead of an error."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_mend(value))


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_mend(name): _mend(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mend(inner) for inner in value]
    return value


def reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=to_json(value), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def reply_error(error: BridgeError) -> web.Response:
    """Answer with an error's status, headers and body."""
    return reply(error.body, status=error.status, headers=error.headers)

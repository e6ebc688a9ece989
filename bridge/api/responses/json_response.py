"""HTTP responses with JSON bodies."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from bridge.errors import BridgeError

_ENCODER = msgspec.json.Encoder()


class JsonResponse(web.Response):
    """A response that does not name the server's software, also where no request could be read."""

    async def _prepare_headers(self) -> None:  # aiohttp adds the header here, and asks nobody
        await super()._prepare_headers()
        self.headers.pop("Server", None)


def to_json(value: Any) -> bytes:
    """Return compact JSON; lone surrogates, which UTF-8 cannot encode, are replaced by a question mark."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_replace_surrogates(value))


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_replace_surrogates(name): _replace_surrogates(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_surrogates(inner) for inner in value]
    return value


def reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a response with a JSON body."""
    return JsonResponse(
        body=to_json(value), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def reply_error(error: BridgeError) -> web.Response:
    """Return a response with an error's status, headers and body."""
    return reply(error.body, status=error.status, headers=error.headers)

"""The bridge's own answers to proxied requests, in the shape of the provider's errors."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from bridge.api.responses.json_response import reply
from bridge.errors import BridgeError
from bridge.providers.registry import PROVIDERS

HEADER: Final = "X-Reelbridge-Error"


class ProxyError(BridgeError):
    """A proxied request that the bridge answers itself; `word` says why in the header X-Reelbridge-Error."""

    def __init__(
        self, word: str, message: str, *, status: int, code: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, headers=headers)
        self.word = word
        self.status = status  # type: ignore[misc]  # of the class elsewhere; here each answer has its own
        self.code = code  # type: ignore[misc]  # likewise


def reply_proxy_error(provider: str, error: BridgeError) -> web.Response:
    """Return an error as the provider would word it, with a header that tells that it is the bridge's own."""
    word = error.word if isinstance(error, ProxyError) else error.code.lower()
    body = PROVIDERS[provider].error_body(error.code, error.message)
    return reply(body, status=error.status, headers={**error.headers, HEADER: word})

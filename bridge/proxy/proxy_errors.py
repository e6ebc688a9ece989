"""The bridge's own answers to proxied requests, in the shape of the provider's errors."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bridge.api.responses.json_response import reply
from bridge.config.log import get_logger
from bridge.errors import BridgeError, Unavailable, ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.store.errors import STORE_ERRORS, explain_outage
from bridge.store.records import UnreadableRecord

HEADER: Final = "X-Reelbridge-Error"
log = get_logger("bridge.proxy")


class ProxyError(BridgeError):
    """A proxied request that the bridge answers itself; `word` says why in the header X-Reelbridge-Error.

    `was_sent`: the provider may have got the request, and may have done what it asks for.
    """

    def __init__(
        self,
        word: str,
        message: str,
        *,
        status: int,
        code: str,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
        was_sent: bool = False,
    ) -> None:
        super().__init__(message, details=details, headers=headers)
        self.word = word
        self.was_sent = was_sent
        self.status = status  # type: ignore[misc]  # of the class elsewhere; here each answer has its own
        self.code = code  # type: ignore[misc]  # likewise


class Busy(ProxyError):
    """More is under way than the bridge takes at once; a client may repeat the request."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "busy",
            f"{what}: repeat this one in a moment",
            status=503,
            code="SERVICE_UNAVAILABLE",
            headers={"Retry-After": "1"},
        )


def answer_error(provider: str, error: Exception) -> web.Response:
    """Return the answer to a request that ended with an error: that error, or a 500 whose cause the log knows."""
    match error:
        case BridgeError():
            return _reply(provider, error)
        case web.RequestPayloadError():
            return _reply(provider, ValidationFailed("body", "its framing is malformed"))
        case UnreadableRecord():  # its load has named it in the log
            return _reply(
                provider, Unavailable("what is stored of this cannot be read: ask the bridge's operator")
            )
        case _ if isinstance(error, STORE_ERRORS):
            log.warning("proxy.store_unreachable", error=type(error).__name__)
            return _reply(provider, Unavailable(f"in the bridge, {explain_outage(error)}", retry_after_s=1))
    request_id = f"req_{secrets.token_hex(8)}"
    log.error("proxy.failed", request_id=request_id, provider=provider, exc_info=error)
    return _reply(
        provider, BridgeError(f"something went wrong in the bridge, whose log knows it as {request_id}")
    )


def _reply(provider: str, error: BridgeError) -> web.Response:
    """Return an error as the provider would word it, with a header that tells that it is the bridge's own."""
    word = error.word if isinstance(error, ProxyError) else error.code.lower()
    body = PROVIDERS[provider].error_body(error.code, error.message, error.details)
    return reply(body, status=error.status, headers={**error.headers, HEADER: word})

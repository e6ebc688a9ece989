"""Decide whether a proxied request goes on: its framing, its target, who sends it, and whether its key may ask for that."""

from aiohttp import web
from aiohttp.http import HttpVersion11

from bridge.api.routing import Api
from bridge.errors import Forbidden, MethodNotAllowed, ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.proxy.keyless import KeylessCalls
from bridge.proxy.login import ProxyLogin
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import ProxyError
from bridge.proxy.target import is_under, read_target

# An answer to TRACE would show the provider's credential.
REFUSED_METHODS = frozenset(("CONNECT", "TRACE"))


class Admission:
    """Checks proxied requests; none of the checks reads a byte of a body."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._login = ProxyLogin(api)
        self._keyless = KeylessCalls(api)

    async def admit(self, request: web.BaseRequest) -> ProxyCall:
        """Return what is asked and by whom; raise the `BridgeError` that says why it does not go on."""
        target = read_target(request.raw_path, host=request.headers.get("Host", ""))
        _check_framing(request)
        if request.method in REFUSED_METHODS:
            raise MethodNotAllowed(f"{request.method} is not passed on")
        caller = self._keyless.find_caller(request, target) or await self._login.find_caller(
            request, target.provider
        )
        if caller.key and caller.key in target.tail:
            raise ValidationFailed("query", "it holds the bridge's key, which belongs into a header only")
        if "admin" not in caller.scopes and is_under(target.path, PROVIDERS[target.provider].admin_paths):
            raise Forbidden(
                "keys and billing at the provider need a key with the scope admin", details={"scope": "admin"}
            )
        return ProxyCall(
            caller=caller,
            method=request.method,
            target=target.tail,
            path=target.path,
            fields=request.raw_headers,
            began_ms=self._api.services.clock_ms(),
            is_intercepted=self._api.services.settings.proxy_intercept,
        )


def _check_framing(request: web.BaseRequest) -> None:
    """Raise an error for a coding of the transfer that is not passed on as it is (RFC 9112, section 6.1)."""
    if "Transfer-Encoding" not in request.headers:
        return
    if request.version < HttpVersion11:
        raise ValidationFailed("Transfer-Encoding", "HTTP/1.0 knows none: send a Content-Length")
    if [each.strip().lower() for each in request.headers.getall("Transfer-Encoding")] != ["chunked"]:
        raise ProxyError(
            "transfer_encoding", "only `chunked` is passed on", status=501, code="NOT_IMPLEMENTED"
        )

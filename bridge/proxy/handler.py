"""Handle a proxied request: check its target, log its caller in, send it on, pass the answer back as it comes."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

from aiohttp import web

from bridge.api.routing import Api
from bridge.api.server import Handler, HttpConnection
from bridge.config.log import get_logger
from bridge.errors import BridgeError, Forbidden, MethodNotAllowed, Unavailable, ValidationFailed
from bridge.http.client.client_errors import BodyError, ClosedError, NotConnected, NotHttpError
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.upload import Upload
from bridge.http.forwarder import HEAD_TIMEOUT_S, Forwarder
from bridge.providers.registry import PROVIDERS
from bridge.proxy.answer_writer import STALL_S, write_answer
from bridge.proxy.header_fields import list_request_fields, list_response_fields
from bridge.proxy.login import ProxyLogin
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import ProxyError, reply_proxy_error
from bridge.proxy.target import PREFIXES, Target, fold_path, is_proxied, read_target
from bridge.store.errors import STORE_ERRORS

REFUSED_METHODS = frozenset(("CONNECT", "TRACE"))
log = get_logger("bridge.proxy")


class Proxy:
    """The handler of all requests behind the providers' prefixes."""

    def __init__(self, api: Api, forwarder: Forwarder) -> None:
        self._api = api
        self._forwarder = forwarder
        self._login = ProxyLogin(api)

    def before(self, handler: Handler) -> Handler:
        """Return a handler of all requests: what is proxied is answered here, all else by `handler`."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await (self.handle if is_proxied(request.raw_path) else handler)(request)

        return handle

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; an error of ours has the provider's shape and says that it is ours."""
        provider = next(iter(PROVIDERS))
        try:
            target = read_target(request.raw_path, host=request.headers.get("Host", ""))
            provider = target.provider
            call = await self._admit(request, target)
            with _cancelled_when_lost(request):
                response = await self._send(request, call)
        except BridgeError as error:
            return reply_proxy_error(provider, error)
        except STORE_ERRORS as error:
            log.warning("proxy.store_unreachable", error=type(error).__name__)
            return reply_proxy_error(
                provider, Unavailable("the bridge's store does not answer", retry_after_s=1)
            )
        with _cancelled_when_lost(request):
            return await self._pass_back(request, call, response)

    async def _admit(self, request: web.BaseRequest, target: Target) -> ProxyCall:
        if request.method in REFUSED_METHODS:
            raise MethodNotAllowed(f"{request.method} is not passed on")
        coding = request.headers.getall("Transfer-Encoding", [])
        if coding and [each.strip().lower() for each in coding] != ["chunked"]:
            raise ProxyError(
                "transfer_encoding", "only `chunked` is passed on", status=501, code="NOT_IMPLEMENTED"
            )
        caller = await self._login.find_caller(request, target.provider)
        folded = fold_path(target.path)
        admin = PROVIDERS[target.provider].admin_paths
        if (
            any(folded == path or folded.startswith(f"{path}/") for path in admin)
            and "admin" not in caller.scopes
        ):
            raise Forbidden(
                "keys and billing at the provider need the scope admin", details={"scope": "admin"}
            )
        return ProxyCall(
            caller=caller,
            method=request.method,
            target=target.tail,
            path=target.path,
            fields=request.raw_headers,
            began_ms=self._api.services.clock_ms(),
        )

    async def _send(self, request: web.BaseRequest, call: ProxyCall) -> HttpResponse:
        login, spec = call.caller.login, PROVIDERS[call.provider]
        ((name, value),) = spec.auth_headers(login.credential).items()
        fields = list_request_fields(call.fields, auth=(name.encode(), value.encode()))
        body = await _read_body(request)
        try:
            return await self._forwarder.send(call.method, login.base_url, call.target, fields, body=body)
        except NotConnected as error:
            raise _unreachable(error) from error
        except TimeoutError:
            raise ProxyError(
                "upstream_timeout",
                f"the provider did not answer within {HEAD_TIMEOUT_S:.0f} seconds",
                status=504,
                code="SERVICE_UNAVAILABLE",
            ) from None
        except (ClosedError, NotHttpError) as error:
            raise _unreachable(error) from error
        except ValueError:
            raise ValidationFailed("headers", "a header, or the length of the body, is malformed") from None

    async def _pass_back(
        self, request: web.BaseRequest, call: ProxyCall, response: HttpResponse
    ) -> web.StreamResponse:
        prefix = next(prefix for prefix, name in PREFIXES.items() if name == call.provider)
        if response.flaw or not response.is_well_formed:
            response.close()
            return reply_proxy_error(call.provider, _unreachable(NotHttpError("its answer is malformed")))
        fields = list_response_fields(
            response.fields, base_url=call.caller.login.base_url.encode(), prefix=prefix.encode()
        )
        try:
            return await write_answer(request, response, fields)
        except (BodyError, TimeoutError) as error:
            # The client must see that the body is not whole.
            raise ConnectionError(str(error)) from error
        finally:
            if not response.is_complete:
                response.close()


def _cancelled_when_lost(request: web.BaseRequest) -> AbstractContextManager[None]:
    """Return a block that is cancelled when the client goes away, so that the provider works for nobody."""
    connection = request.protocol
    assert isinstance(connection, HttpConnection), "the server makes no others"
    return connection.cancelling_when_lost()


def _unreachable(error: Exception) -> ProxyError:
    return ProxyError(
        "upstream_unreachable",
        f"the provider cannot be reached, or broke the connection: {type(error).__name__}",
        status=502,
        code="SERVICE_UNAVAILABLE",
    )


async def _read_body(request: web.BaseRequest) -> bytes | Upload:
    """Return the body, whole if it has arrived already, else as a stream; ask for one that waits to be asked for."""
    if not request.body_exists:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.content.is_eof():
        return await request.content.read()
    return Upload(
        pieces=_read_pieces(request), size=request.content_length, stall_s=STALL_S, answer_s=HEAD_TIMEOUT_S
    )


async def _read_pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    while piece := await request.content.readany():
        yield piece

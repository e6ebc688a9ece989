"""Send a proxied request to its provider, and name what may go wrong on the way to it."""

from bridge.errors import ValidationFailed
from bridge.http.client.client_errors import ClosedError, NotConnected, NotHttpError, UnansweredError
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_head import SWITCHING, Field
from bridge.http.client.upload import Upload
from bridge.http.forwarder import Forwarder
from bridge.providers.registry import PROVIDERS
from bridge.proxy.header_fields import list_request_fields, list_response_fields
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import ProxyError
from bridge.proxy.target import prefix_of


async def forward(forwarder: Forwarder, call: ProxyCall, body: bytes | Upload) -> HttpResponse:
    """Send a request on with the provider's credential; return the response once its head has come.

    Raise ProxyError where no usable response comes, ValidationFailed for a request that HTTP forbids.
    """
    login = call.caller.login
    fields = list_request_fields(
        call.fields, auth=_auth_field(call), key=call.caller.key.encode(), is_intercepted=call.is_intercepted
    )
    try:
        response = await forwarder.send(call.method, login.base_url, call.target, fields, body=body)
    except NotConnected as error:
        raise _unreachable(type(error).__name__, was_sent=False) from error
    except TimeoutError as error:
        if isinstance(body, Upload) and not isinstance(error, UnansweredError):
            raise _late("request", f"the body stood still for {forwarder.stall_s:.0f} seconds", 408) from None
        message = f"the provider did not answer within {forwarder.head_s:.0f} seconds"
        raise _late("upstream", message, 504) from None
    except (ClosedError, NotHttpError) as error:
        raise _unreachable(type(error).__name__) from error
    except ValueError:
        raise ValidationFailed("headers", "a header, or the length of the body, is malformed") from None
    if response.flaw or not response.is_well_formed or response.status == SWITCHING:
        response.close()
        raise _unreachable("its answer is malformed")
    return response


def list_answer_fields(call: ProxyCall, response: HttpResponse) -> list[Field]:
    """Return the fields of an answer that go to the client, with the way back through the bridge."""
    return list_response_fields(
        response.fields,
        base_url=call.caller.login.base_url.encode(),
        prefix=prefix_of(call.provider).encode(),
        is_intercepted=call.is_intercepted,
    )


def _auth_field(call: ProxyCall) -> Field | None:
    if not call.caller.has_account:
        return None
    ((name, value),) = PROVIDERS[call.provider].auth_headers(call.caller.login.credential).items()
    return name.encode(), value.encode()


def _late(whose: str, message: str, status: int) -> ProxyError:
    return ProxyError(f"{whose}_timeout", message, status=status, code="SERVICE_UNAVAILABLE", was_sent=True)


def _unreachable(reason: str, *, was_sent: bool = True) -> ProxyError:
    return ProxyError(
        "upstream_unreachable",
        f"the provider cannot be reached, or broke the connection: {reason}",
        status=502,
        code="SERVICE_UNAVAILABLE",
        was_sent=was_sent,
    )

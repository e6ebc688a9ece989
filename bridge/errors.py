"""Errors that a request can end with; each class has its code and its HTTP status.

Codes and the shape of the body are those that clients of the providers parse already.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class BridgeError(Exception):
    """An error whose message the client may read: it names the field and the fix, and never a secret."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the message for the client, details for its program, and headers that the response must carry."""
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.headers: dict[str, str] = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """Return the response's JSON."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


class ValidationFailed(BridgeError):
    """The request is not valid; the message starts with the field's name."""

    code = "VALIDATION_ERROR"
    status = 400

    def __init__(self, field: str, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        """Take the field's name ("" for the whole request) and a message that says what to send instead."""
        named = {"field": field} if field else {}
        super().__init__(f"{field}: {message}" if field else message, details={**named, **(details or {})})
        self.field = field


class Unauthorized(BridgeError):
    """The key is missing or unknown, or the upstream refused the credential."""

    code = "UNAUTHORIZED"
    status = 401


class Forbidden(BridgeError):
    """The key is valid, but may not do this."""

    code = "FORBIDDEN"
    status = 403


class NotFound(BridgeError):
    """There is no such object in this project; another project's objects look the same."""

    code = "NOT_FOUND"
    status = 404


class MethodNotAllowed(BridgeError):
    """The path exists, but not with this method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class Conflict(BridgeError):
    """The request contradicts what exists already."""

    code = "CONFLICT"
    status = 409


class PayloadTooLarge(BridgeError):
    """The request is larger than any valid one."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413


class RateLimited(BridgeError):
    """Too many requests; repeat after `retry_after_s` seconds."""

    code = "RATE_LIMITED"
    status = 429

    def __init__(
        self, retry_after_s: float, message: str = "too many requests: wait and repeat this one"
    ) -> None:
        """Take the wait in seconds, which the response rounds up to a whole number of at least 1."""
        seconds = whole_seconds(retry_after_s)
        super().__init__(message, details={"retry_after": seconds}, headers={"Retry-After": str(seconds)})
        self.retry_after_s = retry_after_s


class Unavailable(BridgeError):
    """A store or an upstream that the request needs cannot be reached now; nothing was changed."""

    code = "SERVICE_UNAVAILABLE"
    status = 503

    def __init__(
        self, message: str, *, retry_after_s: float = 5.0, details: Mapping[str, Any] | None = None
    ) -> None:
        """Take a message that names what is unavailable, and the seconds after which a client may repeat."""
        seconds = whole_seconds(retry_after_s)
        super().__init__(
            message,
            details={"retry_after": seconds, **(details or {})},
            headers={"Retry-After": str(seconds)},
        )
        self.retry_after_s = retry_after_s


def whole_seconds(seconds: float) -> int:
    """Return seconds for a Retry-After header: whole, rounded up, at least 1."""
    return max(1, -int(-seconds // 1))

"""What an exchange may raise, by how far it got: no connection, no response, or a body that does not end as it should."""


class NotConnected(Exception):
    """No connection was made, so nothing of the request was sent."""


class ConnectTimeout(NotConnected, TimeoutError):
    """The connection was not made in time."""


class ConnectFailed(NotConnected):
    """The connection failed for the reason in `os_error`."""

    def __init__(self, os_error: OSError) -> None:
        super().__init__(type(os_error).__name__)
        self.os_error = os_error


class LookupFailed(ConnectFailed):
    """The host's name could not be resolved, or one of its addresses was refused."""


class HandshakeFailed(NotConnected):
    """The peer does not speak TLS as it should."""


class CertificateRefused(HandshakeFailed):
    """The peer's certificate is not accepted; `verify_code` is OpenSSL's X509_V_ERR_… number."""

    def __init__(self, verify_code: int) -> None:
        super().__init__(f"X509_V_ERR {verify_code}")
        self.verify_code = verify_code


class UnansweredError(TimeoutError):
    """The whole request was sent, and no response came in time."""


class ClosedError(Exception):
    """The peer closed the connection before it answered."""


class BrokenError(ClosedError):
    """The connection broke before the peer answered."""


class NotHttpError(Exception):
    """What came back is not HTTP, its head is too large, or too many heads came."""


class BodyError(Exception):
    """A response's body ended before its end or is malformed; the text says which, as the end of a sentence."""


class UploadError(ValueError):
    """A request's body is shorter or longer than the length that was announced for it."""

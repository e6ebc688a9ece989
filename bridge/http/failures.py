"""Explain a failed attempt: a class to count by, and a sentence for a person without hosts or secrets."""

import errno

from bridge.domain.urls.policy import explain_rule
from bridge.http.client.client_errors import (
    BrokenError,
    CertificateRefused,
    ClosedError,
    ConnectFailed,
    ConnectTimeout,
    HandshakeFailed,
    LookupFailed,
    NotHttpError,
    UnansweredError,
)
from bridge.http.ssrf_guard import RefusedAddress

# OpenSSL's X509_V_ERR_… numbers (openssl-verify, "Diagnostics").
_CERTIFICATE = {
    10: ("tls_expired", "The receiver's certificate has expired: renew it."),
    9: (
        "tls_expired",
        "The receiver's certificate is not valid yet: check its dates and this machine's clock.",
    ),
    18: ("tls_self_signed", "The receiver's certificate is self-signed: use one from a public authority."),
    19: (
        "tls_self_signed",
        "The receiver's certificate chain ends in a self-signed one: use a public authority.",
    ),
    62: ("tls_wrong_host", "The receiver's certificate is for another host name than the URL's."),
    64: ("tls_wrong_host", "The receiver's certificate is not for the address in the URL."),
}
_UNTRUSTED = (
    "tls_untrusted",
    "The receiver's certificate is not trusted (an intermediate certificate missing, perhaps).",
)
_CONNECT = {
    errno.ECONNREFUSED: "The receiver refused the connection: nothing listens on that port.",
    errno.EHOSTUNREACH: "There is no route to the receiver's host.",
    errno.ENETUNREACH: "There is no route to the receiver's network.",
    errno.ETIMEDOUT: "The receiver's host did not answer the connection.",
    errno.ECONNRESET: "The receiver reset the connection while it was made.",
    errno.EMFILE: "The bridge has no file descriptor left: raise its limit (ulimit -n).",
    errno.ENFILE: "The bridge's machine has no file descriptor left.",
}


def explain_failure(error: BaseException, *, timeout_s: float) -> tuple[str, str]:
    """Return (failure class, reason) for what the client raised before a status came; never quote the error's text."""
    match error:
        case ConnectTimeout():
            return "timeout", f"No connection to the receiver was made within {timeout_s:g} s."
        case UnansweredError():
            return (
                "timeout",
                f"The receiver got the whole request and did not answer within {timeout_s:g} s: answer at once, work later.",
            )
        case TimeoutError():
            return "timeout", f"The receiver did not answer within {timeout_s:g} s."
        case CertificateRefused():
            return _CERTIFICATE.get(error.verify_code, _UNTRUSTED)
        case HandshakeFailed():
            return (
                "tls",
                "The TLS handshake failed: the receiver does not speak TLS 1.2 or later on that port.",
            )
        case ConnectFailed():
            return _explain_connect(error)
        case BrokenError():
            return "reset", "The connection to the receiver broke before an answer came."
        case ClosedError():
            return "reset", "The receiver closed the connection without an answer."
        case NotHttpError():
            return "header", "The receiver's answer is not HTTP, or its headers are too long."
        case _:
            return "internal", f"Not sent: the bridge could not make the request ({type(error).__name__})."


def _explain_connect(error: ConnectFailed) -> tuple[str, str]:
    cause = error.os_error
    if isinstance(cause, RefusedAddress):
        return "refused_address", f"Not sent: {explain_rule(cause.rule)}."
    if isinstance(error, LookupFailed):
        return "dns", "The receiver's host name could not be resolved: check its spelling."
    return "connect", _CONNECT.get(cause.errno or 0, "The connection to the receiver failed.")

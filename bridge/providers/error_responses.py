"""Read the answers that show no object: refusals, limits, outages. None of them is ever a job's own failure."""

from collections.abc import Mapping

from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    PollResult,
    Throttled,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.providers.body import Document, look_up
from bridge.providers.rate import read_quiet_until_ms, read_retry_after_s
from bridge.providers.spec import ErrorShape
from bridge.providers.text import show

# "Retry after 60 seconds" (Bots guide, error reference).
UNAVAILABLE_WAIT_S = 60.0


def read_refusal(
    errors: ErrorShape, *, http_status: int, headers: Mapping[str, str], document: Document, now_ms: int
) -> PollResult:
    """Return what an answer outside 2xx means, by status first and content second.

    401 is believed unless it is HTML (a login page of some proxy). 403, 404 and 410 are believed only in JSON, the
    latter two only in the provider's own error shape: an outage or a moved route must not delete jobs.
    """
    match http_status:
        case 401:
            return _outage(http_status, document) if document.html else KeyRefused()
        case 403:
            return KindForbidden() if document.is_object else _outage(http_status, document)
        case 404 | 410:
            return _read_absence(errors, http_status, document)
        case 429:
            return Throttled(until_ms=read_quiet_until_ms(headers, document.value, now_ms=now_ms))
        case 503:
            wait_s = read_retry_after_s(headers, now_ms=now_ms)
            return UpstreamBusy(wait_s=UNAVAILABLE_WAIT_S if wait_s is None else wait_s)
        case _ if http_status >= 500:
            return _outage(http_status, document, said=say_error(errors, document.value))
    return UnexpectedAnswer(
        reason=_describe(http_status, said=say_error(errors, document.value) or document.trouble)
    )


def has_error_shape(errors: ErrorShape, value: object) -> bool:
    """Return whether a value is an error body as the provider documents it: a code, or a message in its nested place."""
    if errors.code[:-1]:
        return any(isinstance(look_up(value, path), str) for path in (errors.code, errors.message))
    # A flat shape's `message` alone is every gateway's shape too: only the code tells.
    return isinstance(look_up(value, errors.code), str)


def say_error(errors: ErrorShape, value: object) -> str | None:
    """Return the body's code and message in one line, None when it has neither."""
    found = [look_up(value, path) for path in (errors.code, errors.message)]
    return ": ".join(text for text in found if isinstance(text, str) and text) or None


def _read_absence(errors: ErrorShape, http_status: int, document: Document) -> PollResult:
    if not document.is_object:
        return _outage(http_status, document)
    if not has_error_shape(errors, document.value):
        return UpstreamBroken(
            reason=_describe(http_status, said="JSON that is not the provider's error shape")
        )
    if look_up(document.value, errors.code) in errors.not_missing:
        return UnexpectedAnswer(reason=_describe(http_status, said=say_error(errors, document.value)))
    return JobNotFound()


def _outage(http_status: int, document: Document, said: str | None = None) -> UpstreamBroken:
    return UpstreamBroken(reason=_describe(http_status, said=said or document.trouble))


def _describe(http_status: int, *, said: str | None) -> str:
    return show(f"HTTP {http_status}: {said}" if said else f"HTTP {http_status}")

"""What an attempt's answer means for its delivery, and when the next attempt is due."""

import enum
import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus

from msgspec import Struct

QUIET_S = 1800.0  # who refuses twice is asked again at this distance or a greater one
MAX_RETRY_AFTER_S = 36000.0
ANSWER_LATER_S = 300.0  # what took a request and did not answer in time is still busy with it for a while
JITTER = 0.2
HERD_PER_S = 50.0  # a URL's retries that were planned together come back at this pace
HERD_S = 60.0  # and are spread over so long at most,
HERD_DELAYS = 10.0  # and so many times their delay
EXCERPT_CHARACTERS = 1024
_REFUSALS = frozenset({401, 403, 405, 422})
# What n8n says of an execution that ended, or that failed or was stopped while it waited.
_OVER = ("finished already", "has finished with error")
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{0,6})?", re.ASCII)


class ReceiverAnswer(Struct, frozen=True, kw_only=True, gc=False):  # one is made for every attempt
    """One attempt's outcome: `status` when an HTTP status came, else `failure`; exactly one of the two is set.

    `failure` is a class to count by: `timeout`, `dns`, `refused_address`, `refused_url`, `connect`, `reset`, `header`,
    `tls`, `tls_self_signed`, `tls_expired`, `tls_wrong_host`, `tls_untrusted`, `internal`. `reason` is one sentence for a
    person, without secrets or internal addresses. `excerpt` is decompressed text, at most 1,024 characters. `connected`: the
    failure came after a connection stood. `sent`: the request had left whole when the time was up. `body` is the hash of the
    body that was posted, empty where none was.
    """

    status: int | None
    failure: str | None
    reason: str
    duration_ms: int
    retry_after_s: float | None
    content_type: str
    excerpt: str
    connected: bool = True
    sent: bool = False
    body: bytes = b""


class Verdict(enum.Enum):
    """What follows from an answer (contract, section 5)."""

    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_WARNING = "succeeded_with_warning"  # 2xx of text/html: a proxy's page is no receiver
    GONE = "gone"  # 410: cancel the callback, disable the endpoint
    FINISHED = "finished"  # n8n: the execution that waited is over, nobody will ever take it
    REFUSED = "refused"  # the receiver's configuration, not its load: quick tries are in vain
    RETRY = "retry"


def judge(answer: ReceiverAnswer, *, may_be_over: bool = False) -> Verdict:
    """Return the verdict. A status decides alone: a 2xx whose body broke off is final, a second POST would do harm.

    `may_be_over`: the receiver takes one call and may have had it, so a 409 or 410 only says that it had.
    """
    status = answer.status
    if status is None:
        return Verdict.RETRY
    if 200 <= status < 300:
        return Verdict.SUCCEEDED_WITH_WARNING if _is_page(answer.content_type) else Verdict.SUCCEEDED
    if may_be_over and status in (409, 410):
        return Verdict.FINISHED
    if status == 410:
        return Verdict.GONE
    if status == 409 and any(words in answer.excerpt.lower() for words in _OVER):
        return Verdict.FINISHED
    return Verdict.REFUSED if status in _REFUSALS else Verdict.RETRY


def plan_retry(
    schedule_s: Sequence[float],
    *,
    attempts: int,
    refusals: int,
    verdict: Verdict,
    retry_after_s: float | None,
    roll: float,
    others: int = 0,
) -> float | None:
    """Return the seconds until the next attempt, or None: exhausted (park it), or nothing is to follow.

    `attempts` and `refusals` count what was made in this schedule, the attempt just ended included. `roll` in [0, 1) spreads
    receivers' retries; it only ever delays, by up to 20 %, and more where `others` wait for the same URL, see `spread_herd`.
    `retry_after_s` lifts the delay to what the receiver asked for, 10 h at most, and never shortens it.
    """
    if verdict is Verdict.REFUSED:
        delay = _refused_delay(schedule_s, attempts, refusals)
    elif verdict is not Verdict.RETRY:
        return None
    else:
        delay = _entry(schedule_s, attempts - 1)
    if delay is None:
        return None
    spread_s = spread_herd(others, delay) * roll
    return max(delay * (1 + JITTER * roll), asked_delay(retry_after_s, roll)) + spread_s


def spread_herd(others: int, delay_s: float) -> float:
    """Return over how many seconds retries are spread where so many others wait for the same URL.

    They may all have failed in the same second; 20 % of a short delay would bring them back in the same second too.
    """
    return min(others / HERD_PER_S, HERD_S, HERD_DELAYS * delay_s)


def asked_delay(retry_after_s: float | None, roll: float) -> float:
    """Return the seconds that a receiver asked for at the least, spread by `roll` and capped; 0 if it asked for none."""
    return min((retry_after_s or 0.0) * (1 + JITTER * roll), MAX_RETRY_AFTER_S)


def is_unanswered(answer: ReceiverAnswer) -> bool:
    """Return whether the receiver took the whole request and did not answer in time: it may well be working on it."""
    return answer.failure == "timeout" and answer.sent


def skip_quick(schedule_s: Sequence[float], attempts: int) -> int:
    """Return how many attempts of the schedule count as made after one that was unanswered.

    A quick repeat would start the receiver's work once more while the first still runs: the next attempt comes after the first
    delay of at least five minutes, or after the last one where none is left that long.
    """
    here = max(attempts, 1) - 1
    long = (at for at, delay in enumerate(schedule_s) if at >= here and delay >= ANSWER_LATER_S)
    return next(long, max(here, len(schedule_s) - 1)) + 1


def _entry(schedule_s: Sequence[float], index: int) -> float | None:
    return schedule_s[index] if index < len(schedule_s) else None


def _refused_delay(schedule_s: Sequence[float], attempts: int, refusals: int) -> float | None:
    """One more quick try, then only the schedule's delays of half an hour or more, each once."""
    if refusals <= 1:
        return _entry(schedule_s, attempts - 1)
    slow = [delay for delay in schedule_s if delay >= QUIET_S]
    quick_used = attempts - 1 - (len(schedule_s) - len(slow))
    return _entry(slow, max(refusals - 2, quick_used))


def read_retry_after(value: str | None, *, now_s: float) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds or an HTTP-date; None for what says neither or lies behind us.

    A doubled header ("5, 60") counts as its largest part. The caller's plan caps it.
    """
    if value is None or len(value) > 200:
        return None
    parts = [part.strip() for part in value.split(",")]
    if all(_SECONDS.fullmatch(part) for part in parts):
        return max(float(part) for part in parts)
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # HTTP knows only GMT, whatever zone this process runs in
            date = date.replace(tzinfo=UTC)
        wait_s = date.timestamp() - now_s
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return wait_s if wait_s > 0 else None


@lru_cache(maxsize=1024)
def explain_status(status: int, content_type: str) -> str:
    """Return in one sentence what a status means for the delivery and, where it failed, what to do."""
    if 200 <= status < 300:
        if _is_page(content_type):
            return f"The receiver answered {status} with a web page: check that the URL is the webhook's, not a site's."
        return f"The receiver answered {status}."
    if 300 <= status < 400:
        return f"The receiver answered {status}, a redirect; none is followed: register the URL it leads to."
    if status == 410:
        return "The receiver answered 410: it is gone for good, nothing more is sent."
    if status in (401, 403):
        return (
            f"The receiver answered {status}: it wants other credentials, or it rejected the signature; check the "
            "headers of the callback or endpoint, and which signing secret the receiver has (an endpoint has its own)."
        )
    if status == 404:
        return (
            "The receiver answered 404: nothing listens at this URL (a workflow not yet published, perhaps)."
        )
    if status in (405, 422):
        return f"The receiver answered {status}: it does not take this POST; check URL, method and expected fields."
    return f"The receiver answered {status}{_phrase(status)}."


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def _is_page(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "text/html"

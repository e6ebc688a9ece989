"""Read what an answer says of the rate limit: how much is left, and when it starts anew."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from bridge.domain.observation import RateHeaders
from bridge.providers.body import look_up, read_document
from bridge.providers.timestamps import read_http_date_ms, read_moment_ms, read_number

DEFAULT_QUIET_MS = 60_000
LEAST_QUIET_MS = 1_000
MOST_QUIET_MS = 3_600_000
# A reset that has just passed is a clock a little off; one further back is no reset.
_STALE_MS = 60_000
# `Date` has whole seconds, and answers take their time.
_SAME_CLOCK_MS = 3_000
# A reset this small is a number of seconds to wait, not a moment in 1970.
_LARGEST_WAIT_S = 86_400
_LONGEST = 64  # characters: what is longer is no number
_BODY_RESETS = (
    ("details", "resetAt"),
    ("error", "details", "resetAt"),
    ("details", "reset_at"),
    ("error", "details", "reset_at"),
)


def fold_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case name, the first of each."""
    folded: dict[str, str] = {}
    for name, value in headers.items():
        folded.setdefault(name.lower(), value)
    return folded


def read_rate(*, headers: Mapping[str, str], body: bytes, http_status: int, now_ms: int) -> RateHeaders:
    """Return the rate headers of any answer; on 429 also `Retry-After` and the body's reset time; in our time.

    ReelMirror writes the reset as a Unix number (Introduction), ReelBot as ISO 8601 (Rate Limits).
    """
    return read_folded_rate(found=fold_headers(headers), body=body, http_status=http_status, now_ms=now_ms)


def read_folded_rate(*, found: Mapping[str, str], body: bytes, http_status: int, now_ms: int) -> RateHeaders:
    """Return the same as `read_rate` for headers whose names are in lower case, as our own client has them."""
    ahead_ms = _read_ahead_ms(found, now_ms)
    there_ms = now_ms + ahead_ms
    if http_status == 429:
        reset_ms = _first_sane(_quiet_moments(found, read_document(body).value, there_ms), there_ms)
    else:
        reset_ms = _if_sane(_read_reset_ms(found.get("x-ratelimit-reset"), there_ms), there_ms)
    if reset_ms is not None:
        reset_ms -= ahead_ms
    return RateHeaders(
        limit=_read_count(found.get("x-ratelimit-limit"), least=1),
        remaining=_read_count(found.get("x-ratelimit-remaining"), least=0),
        reset_ms=reset_ms,
    )


def read_quiet_until_ms(headers: Mapping[str, str], document: Any, *, now_ms: int) -> int:
    """Return when a limited account may ask again: 1 s to 1 h ahead, 60 s when the answer names no sane moment."""
    found = fold_headers(headers)
    ahead_ms = _read_ahead_ms(found, now_ms)
    there_ms = now_ms + ahead_ms
    moments = [m for m in _quiet_moments(found, document, there_ms) if m is not None]
    sane = _first_sane(iter(moments), there_ms)
    if sane is None and any(moment > there_ms + MOST_QUIET_MS for moment in moments):
        return now_ms + MOST_QUIET_MS
    return max(now_ms + LEAST_QUIET_MS, now_ms + DEFAULT_QUIET_MS if sane is None else sane - ahead_ms)


def read_retry_after_s(headers: Mapping[str, str], *, now_ms: int) -> float | None:
    """Return the seconds that `Retry-After` asks to wait (RFC 9110, 10.2.3), 1 s to 1 h; None when absent or unreadable."""
    moment = _read_retry_after_ms(fold_headers(headers).get("retry-after"), now_ms)
    if moment is None or moment < now_ms - _STALE_MS:
        return None
    return min(max(moment - now_ms, LEAST_QUIET_MS), MOST_QUIET_MS) / 1000


def _read_ahead_ms(found: Mapping[str, str], now_ms: int) -> int:
    """Return how far the upstream's clock is ahead of ours, by its `Date` (RFC 9110, 6.6.1); 0 for less than it can tell."""
    date = found.get("date")
    moment = None if date is None else read_http_date_ms(date)
    ahead_ms = 0 if moment is None else moment - now_ms
    return ahead_ms if abs(ahead_ms) > _SAME_CLOCK_MS else 0


def _quiet_moments(found: Mapping[str, str], document: Any, now_ms: int) -> Iterator[int | None]:
    # The order is ReelBot's (Error Handling); ReelMirror documents only the reset header (Bots guide).
    yield _read_retry_after_ms(found.get("retry-after"), now_ms)
    yield _read_reset_ms(found.get("x-ratelimit-reset"), now_ms)
    for path in _BODY_RESETS:
        yield _read_reset_ms(look_up(document, path), now_ms)


def _first_sane(moments: Iterator[int | None], now_ms: int) -> int | None:
    return next((moment for moment in moments if _if_sane(moment, now_ms) is not None), None)


def _if_sane(moment: int | None, now_ms: int) -> int | None:
    sane = moment is not None and now_ms - _STALE_MS <= moment <= now_ms + MOST_QUIET_MS
    return moment if sane else None


def _read_reset_ms(value: object, now_ms: int) -> int | None:
    if value is None:
        return None
    number = read_number(value)
    if number is not None and number <= _LARGEST_WAIT_S:
        return now_ms + int(number * 1000)
    return read_moment_ms(value)


def _read_retry_after_ms(value: str | None, now_ms: int) -> int | None:
    if value is None:
        return None
    seconds = read_number(value)
    return read_http_date_ms(value) if seconds is None else now_ms + int(seconds * 1000)


def _read_count(value: str | None, *, least: int) -> int | None:
    return None if value is None or len(value) > _LONGEST else _read_short_count(value, least)


@lru_cache(maxsize=1024)
def _read_short_count(value: str, least: int) -> int | None:
    """Read a count; cached, because every answer of a window names the same limit, and many the same rest."""
    number = read_number(value)
    return int(number) if number is not None and least <= number < 10**9 else None

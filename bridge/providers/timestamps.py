"""Read the moments that upstreams write: ISO 8601, Unix seconds or milliseconds, HTTP dates."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_LONGEST = 64  # characters: what is longer is no number, and not worth remembering
# Unix milliseconds passed 10^11 in 1973, Unix seconds reach it in the year 5138.
_FIRST_MS = 10**11


def read_number(value: object) -> float | None:
    """Return a non-negative finite number from a JSON number or decimal text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if 0 <= value < 10**15 else None
    return _read_digits(value) if isinstance(value, str) and len(value) <= _LONGEST else None


@lru_cache(maxsize=1024)
def _read_digits(text: str) -> float | None:
    """Read a time in text; cached, because every answer of a window names the same limit and reset."""
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def read_moment_ms(value: object) -> int | None:
    """Return the Unix milliseconds of an ISO 8601 text (UTC unless it says otherwise) or a Unix number; None when neither."""
    number = read_number(value)
    if number is not None:
        return int(number) if number >= _FIRST_MS else int(number * 1000)
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return _to_ms(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError):
        return None


def read_http_date_ms(value: str) -> int | None:
    """Return the Unix milliseconds of an HTTP date (RFC 9110, 5.6.7); None when it is none."""
    return _read_http_date_ms(value) if len(value) <= _LONGEST else None


@lru_cache(maxsize=64)
def _read_http_date_ms(value: str) -> int | None:
    """Read an HTTP date; cached, because every answer of a second has the same."""
    try:
        return _to_ms(parsedate_to_datetime(value))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _to_ms(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)

"""Convert times from integer milliseconds, as the store has them, into ISO 8601, as people read them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_ms(at_ms: int) -> str:
    """Return Unix milliseconds as `2026-11-21T10:34:10.123Z`."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_iso_s(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=1024)  # most times of a moment lie in few seconds
def _iso_s(at_s: int) -> str:
    return f"{_EPOCH + timedelta(seconds=at_s):%Y-%m-%dT%H:%M:%S}"

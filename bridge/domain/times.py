"""Convert times from integer milliseconds, as the store has them, into ISO 8601, as people read them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_ms(at_ms: int) -> str:
    """Return Unix milliseconds as `2026-11-21T10:34:10.123Z`."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"

"""Rate headers and waits, in every form that the documents show and some that they do not."""

import json
from email.utils import formatdate

import pytest
from multidict import CIMultiDict

from bridge.domain.observation import RateHeaders, Throttled, UpstreamBusy
from bridge.providers import KINDS
from bridge.providers.read import read_answer, read_rate

NOW_S = 1_767_609_000
NOW_MS = NOW_S * 1000
SYNC = KINDS["sync_job"]


def wait_ms(headers: dict[str, str], body: object = None) -> int:
    result = read_answer(
        SYNC, job_id="j", http_status=429, headers=headers, body=json.dumps(body).encode(), now_ms=NOW_MS
    )
    assert isinstance(result, Throttled)
    return result.until_ms - NOW_MS


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 60_000),
        ({"Retry-After": "5"}, 5_000),
        ({"RETRY-AFTER": " 5 "}, 5_000),
        ({"retry-after": "0"}, 1_000),
        ({"retry-after": "1.5"}, 1_500),
        ({"retry-after": "-3"}, 60_000),
        ({"retry-after": "soon"}, 60_000),
        ({"retry-after": "٣"}, 60_000),  # a digit to Python, not to HTTP
        ({"retry-after": "1e400"}, 60_000),
        ({"retry-after": "Mon, 05 Jan 2026 10:30:25 GMT"}, 25_000),
        ({"retry-after": "Mon, 05 Jan 2026 09:00:00 GMT"}, 60_000),  # long past: no answer to "until when"
        ({"retry-after": "99999", "x-ratelimit-reset": str(NOW_S + 9)}, 9_000),  # the sane one of two
        ({"retry-after": "99999"}, 3_600_000),
        ({"X-RateLimit-Reset": str(NOW_S + 42)}, 42_000),
        ({"X-RateLimit-Reset": str(NOW_MS + 42_500)}, 42_500),
        ({"X-RateLimit-Reset": f"{NOW_S + 42}.5"}, 42_500),
        ({"X-RateLimit-Reset": "30"}, 30_000),  # seconds to wait, not 1970
        ({"X-RateLimit-Reset": str(NOW_S - 1)}, 1_000),  # whole seconds are rounded down
        ({"X-RateLimit-Reset": str(NOW_S - 4000)}, 60_000),
        ({"X-RateLimit-Reset": "2026-01-05T10:31:00.000Z"}, 60_000),
        ({"X-RateLimit-Reset": "2026-01-05T11:30:20+01:00"}, 20_000),
        ({"X-RateLimit-Reset": "2026-01-05T10:30:20"}, 20_000),  # no zone: UTC
        ({"X-RateLimit-Reset": "0001-01-01T00:00:00+14:00"}, 60_000),
        ({"X-RateLimit-Reset": "9" * 400}, 60_000),
    ],
)
def test_a_limit_waits_a_sane_time(headers: dict[str, str], expected: int) -> None:
    """429 waits for the first sane moment it names, between a second and an hour, a minute when there is none."""
    assert wait_ms(headers) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"details": {"resetAt": "2026-01-05T10:30:50.000Z"}}, 50_000),
        ({"error": {"code": "RATE_LIMITED", "details": {"resetAt": NOW_S + 8}}}, 8_000),
        ({"details": {"resetAt": {"at": 5}}}, 60_000),
        ({"details": [1]}, 60_000),
        ({"details": {"resetAt": True}}, 60_000),
        ([], 60_000),
    ],
)
def test_a_limit_reads_the_bodys_reset(body: object, expected: int) -> None:
    """Without headers, the reset time that ReelBot puts into the body counts."""
    assert wait_ms({}, body) == expected


def test_headers_win_over_the_body() -> None:
    """Retry-After, then the reset header, then the body (ReelBot, Error Handling)."""
    body = {"details": {"resetAt": NOW_S + 50}}
    assert wait_ms({"retry-after": "3", "x-ratelimit-reset": str(NOW_S + 30)}, body) == 3_000
    assert wait_ms({"x-ratelimit-reset": str(NOW_S + 30)}, body) == 30_000


def test_rate_headers_of_a_good_answer() -> None:
    """Both providers' headers are read from any answer, in any spelling, and Retry-After only on 429."""
    found: CIMultiDict[str] = CIMultiDict(
        {
            "x-RateLimit-LIMIT": "60",
            "X-Ratelimit-Remaining": "0",
            "X-RateLimit-Reset": str(NOW_S + 12),
            "Retry-After": "1",
        }
    )
    assert read_rate(headers=found, body=b"", http_status=200, now_ms=NOW_MS) == RateHeaders(
        limit=60, remaining=0, reset_ms=NOW_MS + 12_000
    )
    assert read_rate(headers=found, body=b"", http_status=429, now_ms=NOW_MS).reset_ms == NOW_MS + 1_000


@pytest.mark.parametrize("junk", ["", "many", "-1", "1e3", "9" * 30, "6 0"])
def test_strange_rate_headers_say_nothing(junk: str) -> None:
    """A header that is no count or moment is as good as missing."""
    headers = {"X-RateLimit-Limit": junk, "X-RateLimit-Remaining": junk, "X-RateLimit-Reset": junk}
    assert read_rate(headers=headers, body=b"", http_status=200, now_ms=NOW_MS) == RateHeaders()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 60.0),
        ({"Retry-After": "5"}, 5.0),
        ({"Retry-After": "0"}, 1.0),
        ({"Retry-After": "86400"}, 3600.0),
        ({"Retry-After": "x"}, 60.0),
        ({"Retry-After": "Mon, 05 Jan 2026 10:30:25 GMT"}, 25.0),
    ],
)
def test_unavailable_waits_a_minute_or_as_asked(headers: dict[str, str], expected: float) -> None:
    """503 waits 60 s (ReelMirror, Bots guide) unless Retry-After says otherwise, never beyond an hour."""
    result = read_answer(SYNC, job_id="j", http_status=503, headers=headers, body=b"", now_ms=NOW_MS)
    assert result == UpstreamBusy(wait_s=expected)


@pytest.mark.parametrize("ahead_s", [-7200, -300, 0, 2, 300, 7200])
def test_an_upstreams_clock_may_be_wrong(ahead_s: int) -> None:
    """Its resets are in its own time, which its `Date` tells: in ours they are just as far away."""
    headers = {
        "Date": formatdate(NOW_S + ahead_s, usegmt=True),
        "X-RateLimit-Remaining": "5",
        "X-RateLimit-Reset": str(NOW_S + ahead_s + 30),
    }
    reset_ms = read_rate(headers=headers, body=b"", http_status=200, now_ms=NOW_MS).reset_ms
    assert reset_ms is not None
    assert abs(reset_ms - NOW_MS - 30_000) <= 2_000
    assert abs(wait_ms(headers) - 30_000) <= 2_000

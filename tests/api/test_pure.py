"""The small parts: buckets, addresses behind proxies, answers as bytes, errors."""

import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from bridge.api.rate_limiter import RateLimiter
from bridge.api.requests.forwarded import Forwarding
from bridge.api.responses.json_response import to_json
from bridge.errors import RateLimited, Unavailable, ValidationFailed


def test_a_bucket_empties_and_fills() -> None:
    """A burst, then the rate; each name has its own, and the unused ones are forgotten."""
    now = [0.0]
    buckets = RateLimiter(burst=2, per_second=0.5, clock_s=lambda: now[0], max_buckets=2)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2]
    assert (buckets.wait_s("a"), buckets.wait_s("b")) == (2, 0)
    now[0] = 2
    assert (buckets.take("a"), buckets.take("a")) == (0, 2)
    buckets.take("b")
    buckets.take("c")
    assert buckets.take("a") == 0  # forgotten, so full again


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # not a trusted proxy: its word is nothing
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (
            "10.0.0.1",
            "1.1.1.1, 203.0.113.9, 10.0.0.2",
            "203.0.113.9",
        ),  # a client's own lie stands further left
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8:1:2::5]:4711", "2001:db8:1:2::/64"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", None, "2001:db8::/64"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_trusted_proxy(
    remote: str, forwarded: str | None, client: str
) -> None:
    """IPv6 counts by its /64."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    forwarding = Forwarding(["10.0.0.0/8"], public_url=None, fallback_url="http://x")
    assert forwarding.client(request) == client


def test_half_characters_are_mended_in_answers() -> None:
    """Whatever an upstream wrote, the answer can be sent."""
    value: Any = {"a\ud800": ["b\udfff", 1, None]}
    assert json.loads(to_json(value)) == {"a?": ["b?", 1, None]}


def test_errors_carry_what_their_answers_need() -> None:
    """Field, details, Retry-After in whole seconds."""
    assert ValidationFailed("events", "use x", details={"rule": "r"}).body == {
        "error": {
            "code": "VALIDATION_ERROR",
            "message": "events: use x",
            "details": {"field": "events", "rule": "r"},
        }
    }
    assert ValidationFailed("", "odd").body["error"] == {
        "code": "VALIDATION_ERROR",
        "message": "odd",
        "details": {},
    }
    assert RateLimited(0.2).headers == {"Retry-After": "1"}
    assert RateLimited(2.1).headers == {"Retry-After": "3"}
    assert Unavailable("x", retry_after_s=30).headers == {"Retry-After": "30"}

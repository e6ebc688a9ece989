"""The small parts: buckets, addresses behind proxies, answers as bytes, errors."""

import asyncio
import json
from typing import Any
from unittest.mock import Mock

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
    forwarding = Forwarding(["10.0.0.0/8"], public_url=None, base_url="http://x:1", every_address=False)
    assert forwarding.client(request) == client


LISTENER = ("10.9.9.9", 8080)


@pytest.mark.parametrize(
    ("headers", "chosen", "url"),
    [
        # A listener with an address of its own: that one, whatever the request says.
        ({"Host": "evil.example"}, {}, "http://127.0.0.1:8080"),
        ({"Host": "localhost:8080"}, {}, "http://127.0.0.1:8080"),
        ({"X-Forwarded-Host": "evil.example"}, {}, "http://127.0.0.1:8080"),
        ({"Host": "evil.example"}, {"base_url": "http://[::1]:1"}, "http://[::1]:8080"),
        # On every address: a Host that names this machine, else the address that was connected to.
        ({"Host": "evil.example"}, {"every_address": True}, "http://10.9.9.9:8080"),
        ({}, {"every_address": True}, "http://10.9.9.9:8080"),
        ({"Host": "box:8080"}, {"every_address": True}, "http://box:8080"),
        ({"Host": "BOX"}, {"every_address": True}, "http://BOX"),
        ({"Host": "localhost:9090"}, {"every_address": True}, "http://localhost:9090"),
        ({"Host": "10.9.9.9:9090"}, {"every_address": True}, "http://10.9.9.9:9090"),
        ({"Host": "10.9.9.8:9090"}, {"every_address": True}, "http://10.9.9.9:8080"),
        ({"Host": "127.0.0.1:9090"}, {"every_address": True}, "http://127.0.0.1:9090"),
        ({"Host": "[::1]:9090"}, {"every_address": True}, "http://[::1]:9090"),
        ({"Host": "box.evil.example"}, {"every_address": True}, "http://10.9.9.9:8080"),
        ({"Host": "localhost@evil.example"}, {"every_address": True}, "http://10.9.9.9:8080"),
        ({"Host": "localhost/../x"}, {"every_address": True}, "http://10.9.9.9:8080"),
        # A trusted proxy names the host; its own Host header says nothing.
        ({"X-Forwarded-Host": "b.example.test"}, {"trusted": ["192.0.2.0/24"]}, "http://b.example.test"),
        (
            {"X-Forwarded-Host": "a, b.example.test", "X-Forwarded-Proto": "https"},
            {"trusted": ["192.0.2.0/24"]},
            "https://b.example.test",
        ),
        ({"Host": "evil.example"}, {"trusted": ["192.0.2.0/24"]}, "http://127.0.0.1:8080"),
        ({"X-Forwarded-Host": "x/y"}, {"trusted": ["192.0.2.0/24"]}, "http://127.0.0.1:8080"),
        # A public URL is always right.
        ({"Host": "evil.example"}, {"public_url": "https://p.example.test/b"}, "https://p.example.test/b"),
    ],
)
def test_a_link_begins_with_an_address_that_is_ours(
    headers: dict[str, str], chosen: dict[str, Any], url: str
) -> None:
    """No request chooses it, since both its headers are the sender's."""
    options = {
        "trusted": [],
        "public_url": None,
        "base_url": "http://127.0.0.1:1",
        "every_address": False,
        "own_names": ["Box"],
        **chosen,
    }
    transport = Mock(spec=asyncio.Transport)
    transport.get_extra_info.side_effect = lambda name, default=None: (
        LISTENER if name == "sockname" else default
    )
    request = make_mocked_request("GET", "/", headers=headers, transport=transport)
    forwarding = Forwarding(options.pop("trusted"), **options)
    assert forwarding.base_url(request.clone(remote="192.0.2.1")) == url


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

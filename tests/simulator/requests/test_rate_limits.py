"""Rate limits as both vendors document them."""

from datetime import datetime

import pytest

from tests.simulator.simulator_client import BOT_KEY, JWT, KEY, OTHER_KEY, START, Sim, SimMaker

VIDEO = {"videoType": "cinematic", "topic": "t", "brollKeys": ["k"]}


async def _spend(sim: Sim, count: int, *, key: str = KEY) -> list[int]:
    return [(await sim.mirror("GET", "/sync-jobs/none", key=key)).status for _ in range(count)]


async def test_sixty_a_minute_for_a_key(sim: Sim) -> None:
    """The 61st request of a window is a 429 with ReelMirror's body; the next window accepts requests again."""
    assert await _spend(sim, 60) == [404] * 60
    refused = await sim.mirror("GET", "/sync-jobs/none", expect=429)
    assert refused.json["error"]["code"] == "RATE_LIMITED"
    assert "Retry-After" not in refused.headers
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    sim.clock.now = float(refused.headers["X-RateLimit-Reset"])
    assert await _spend(sim, 1) == [404]


async def test_three_headers_on_every_answer(sim: Sim) -> None:
    """Successes, errors and unknown paths carry the limit, what remains, and the end in Unix seconds."""
    for count, path in enumerate(("/sync-jobs/demo", "/sync-jobs/none", "/nothing"), start=1):
        headers = (await sim.mirror("GET", path)).headers
        assert headers["X-RateLimit-Limit"] == "60"
        assert headers["X-RateLimit-Remaining"] == str(60 - count)
        assert headers["X-RateLimit-Reset"] == str(int(START) + 60)


async def test_a_jwt_has_twice_as_many(sim: Sim) -> None:
    """A Supabase token allows 120 requests a minute."""
    assert await _spend(sim, 121, key=JWT) == [404] * 120 + [429]


async def test_keys_do_not_share_a_window(sim: Sim) -> None:
    """One key at its limit does not affect another."""
    await _spend(sim, 61)
    assert await _spend(sim, 1, key=OTHER_KEY) == [404]


async def test_windows_shrink_with_speed(make_sim: SimMaker) -> None:
    """At speed 40 a minute is 1.5 s of wall-clock time; whole seconds are rounded up, so that no client is early."""
    sim = await make_sim(speed=40.0)
    assert (await sim.mirror("GET", "/sync-jobs/x")).headers["X-RateLimit-Reset"] == str(int(START) + 2)
    await _spend(sim, 60)
    sim.clock.now = START + 1.5
    assert await _spend(sim, 1) == [404]


async def test_milliseconds_by_configuration(make_sim: SimMaker) -> None:
    """With `reset_unit="ms"` the header has the exact end of a short window."""
    sim = await make_sim(speed=40.0, reset_unit="ms")
    got = await sim.mirror("GET", "/sync-jobs/x")
    assert got.headers["X-RateLimit-Reset"] == str(int(START * 1000) + 1500)


@pytest.mark.parametrize(
    ("method", "path", "body", "limit", "window_s"),
    [
        ("POST", "/generate", VIDEO, 10, 3600),  # "Rate Limits": 10 per hour
        ("GET", "/status/none", None, 60, 60),  # 60 per minute
        ("GET", "/download/none", None, 30, 3600),  # 30 per hour
    ],
)
async def test_each_reelbot_call_has_its_own_limit(
    sim: Sim, *, method: str, path: str, body: object, limit: int, window_s: int
) -> None:
    """Limits are per call, with an ISO reset; `Retry-After` and `details.resetAt` come only with a 429."""
    for _ in range(limit):
        allowed = await sim.bot(method, path, body)
        assert allowed.status != 429
        assert "Retry-After" not in allowed.headers
        assert "X-RateLimit-Limit" not in allowed.headers
    refused = await sim.bot(method, path, body, expect=429)
    ends_at = datetime.fromisoformat(refused.headers["X-RateLimit-Reset"]).timestamp()
    assert ends_at == START + window_s
    assert refused.headers["Retry-After"] == str(window_s)
    assert refused.json["code"] == "RATE_LIMITED"
    assert refused.json["details"]["resetAt"] == refused.headers["X-RateLimit-Reset"]
    sim.clock.now = ends_at
    assert (await sim.bot(method, path, body)).status != 429


async def test_refusals_are_counted_per_key(sim: Sim) -> None:
    """The statistics count refusals per key, without showing the key."""
    await _spend(sim, 63)
    await _spend(sim, 2, key=OTHER_KEY)
    stats = await sim.control("GET", "/stats")
    assert stats["by_status"] == {"404": 62, "429": 3}
    assert list(stats["limited_by_key"].values()) == [3]
    assert KEY not in str(stats)
    assert BOT_KEY not in str(stats)

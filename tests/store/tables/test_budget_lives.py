"""How long the keys of a budget live when nobody spends any more."""

from redis.asyncio import Redis

from bridge.domain.polling.rate_limit import RateReport
from bridge.store import keys
from tests.store.tables.test_rate_budgets import API, MINUTE, SINGLE, Upstream

DAY = 24 * 60 * MINUTE


async def test_a_budgets_keys_end_by_themselves(redis: Redis) -> None:
    """Those that had become empty and come again do too."""
    upstream = Upstream(redis)
    for _ in range(3):
        await upstream.budgets.spend("acc", API, SINGLE)
        for name in (keys.budget, keys.budget_sent, keys.budget_open):
            assert await redis.pttl(name("a", "acc", "api")) > 2 * MINUTE
        upstream.now += 10 * MINUTE


async def test_requests_of_a_window_that_grew_are_kept_for_two_of_it(redis: Redis) -> None:
    """The headers tell of a day where a minute is documented: its requests must not be forgotten in an hour."""
    upstream = Upstream(redis)
    for number in range(5):
        grant = await upstream.budgets.spend("acc", API, SINGLE)
        report = RateReport(
            request=grant.requests[0],
            limit=1000,
            remaining=900 - 2 * number,
            reset_ms=upstream.now + DAY,
            quiet_ms=None,
        )
        await upstream.budgets.spend("acc", API, reports=[report])
        upstream.now += 3000
    assert float(await redis.hget(keys.budget("a", "acc", "api"), "window")) > DAY / 2  # type: ignore[misc]  # redis-py types both clients at once
    assert await redis.pttl(keys.budget_sent("a", "acc", "api")) > DAY

"""The health cache keeps a healthy account for a moment, and reads any other each time."""

from collections.abc import Sequence
from typing import cast

from bridge.services.accounts.health_cache import TTL_S, HealthCache
from bridge.store.tables.account_health import AccountHealth, Health


class CountingHealth:
    """A store that counts how often it was asked for each account."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.outages: dict[str, int] = {}

    async def load_many(self, accounts: Sequence[str]) -> dict[str, AccountHealth]:
        self.asked += accounts
        return {name: AccountHealth(outage_ms=self.outages.get(name, 0)) for name in accounts}


async def test_a_well_account_is_read_once_in_a_while() -> None:
    """It is read again when the time is over, or when something was recorded against the account."""
    health, now = CountingHealth(), [0.0]
    health_cache = HealthCache(cast("Health", health), clock_s=lambda: now[0])
    for _ in range(3):
        assert set(await health_cache.load_many(["acc_1", "acc_2", "acc_1"])) == {"acc_1", "acc_2"}
    assert health.asked == ["acc_1", "acc_2"]
    health_cache.forget("acc_1")
    await health_cache.load_many(["acc_1", "acc_2"])
    assert health.asked[2:] == ["acc_1"]
    now[0] += TTL_S
    await health_cache.load_many(["acc_2"])
    assert health.asked[3:] == ["acc_2"]


async def test_an_account_in_trouble_is_read_each_time() -> None:
    """Its recovery is seen at once."""
    health = CountingHealth()
    health_cache = HealthCache(cast("Health", health), clock_s=lambda: 0.0)
    health.outages["acc_1"] = 7
    for _ in range(2):
        assert (await health_cache.load_many(["acc_1"]))["acc_1"].outage_ms == 7
    health.outages.clear()
    assert (await health_cache.load_many(["acc_1"]))["acc_1"].well
    assert health.asked == ["acc_1"] * 3

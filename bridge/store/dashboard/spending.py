"""What accounts spent in the last hour: their counters, sampled once a minute."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.domain.lags import differences
from bridge.domain.polling.rate_limit import BudgetView
from bridge.store.dashboard import tally_keys

MINUTE_MS: Final = 60_000
KEPT: Final = 61  # samples, between which lie 60 minutes
TTL_S: Final = 7_200


class Minute(Struct, frozen=True, kw_only=True):
    """Requests of one minute: sent, saved by sharing reads and by lists, 429s, and what the client sent meanwhile.

    The client's are those of the rate limit's present window, as far as its headers told.
    """

    ours: int
    saved: int
    limited: int
    client: int


class Spending:
    """The samples of all accounts."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once

    async def sample(
        self, accounts: Sequence[tuple[str, str]], budgets: Sequence[BudgetView], *, now_ms: int
    ) -> None:
        """Keep the counters of (project, account) as they are now, in one round trip; a full store takes none."""
        minute = now_ms // MINUTE_MS
        pipe = self._redis.pipeline(transaction=False)
        for (project, account), budget in zip(accounts, budgets, strict=True):
            key = tally_keys.minutes(project, account)
            counters = (
                sum(budget.spent.values()),
                budget.shared + budget.batched,
                budget.limited,
                budget.client,
            )
            pipe.hset(key, str(minute % KEPT), " ".join(map(str, (minute, *counters))))
            pipe.expire(key, TTL_S)
        with suppress(OutOfMemoryError):
            await pipe.execute()

    async def read_hours(
        self, accounts: Sequence[tuple[str, str]], *, now_ms: int
    ) -> list[list[Minute | None]]:
        """Return the last 60 minutes of (project, account), in one round trip; None: nothing is known of that minute."""
        pipe = self._redis.pipeline(transaction=False)
        for project, account in accounts:
            pipe.hgetall(tally_keys.minutes(project, account))
        found = await pipe.execute() if accounts else []
        return [_read(rows, now_ms // MINUTE_MS) for rows in found]


def _read(rows: Mapping[bytes, bytes], last: int) -> list[Minute | None]:
    samples = {
        minute: tuple(counters) for minute, *counters in (map(int, row.split()) for row in rows.values())
    }
    grown = differences({minute: counters[:3] for minute, counters in samples.items()}, most_apart=2)
    return [
        Minute(ours=grown[at][0], saved=grown[at][1], limited=grown[at][2], client=samples[at][3])
        if at in grown
        else None
        for at in range(last - 59, last + 1)
    ]

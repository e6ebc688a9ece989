"""Permits for attempts at origins that never answered 2xx, where a store has several shards.

Each shard limits an origin by itself. A host that never asked for anything must not get that much from each of them, so
an attempt there needs a permit too, which one key per origin counts. It ends with the attempt's lease at the latest.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from redis.asyncio import Redis

from bridge.domain.deliveries.origin_limits import SlotLimit
from bridge.domain.deliveries.outcome import ANSWERED, REFUSED, UNSENT
from bridge.store import keys
from bridge.store.cluster_commands import Bytes
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many

PROVEN: Final = b"proven"
_UNPACED: Final = frozenset({REFUSED, UNSENT})  # as in settle_fair_v3


class OriginPermits:
    """Takes permits for claimed attempts and returns them when they have ended."""

    def __init__(self, redis: Redis, limit: SlotLimit) -> None:
        """Allow an origin what the limit of a stranger allows it."""
        self._redis = redis
        self._limit = limit
        self._held: dict[str, str] = {}  # token and member -> origin

    async def take(
        self, attempts: Mapping[str, Sequence[str]], *, lease_ms: int
    ) -> tuple[set[str], set[str]]:
        """Ask for attempts, given by origin as token and member.

        Return those that may not begin now, and the origins that have answered 2xx.
        """
        limit = self._limit
        calls = [
            ScriptCall(
                SCRIPTS["take_permits_v1"],
                _names(origin),
                (lease_ms, limit.total, limit.burst, limit.interval_ms, *wanted),
            )
            for origin, wanted in attempts.items()
        ]
        refused: set[str] = set()
        proven: set[str] = set()
        answers = await run_many(self._redis, calls)
        for (origin, wanted), answer in zip(attempts.items(), answers, strict=True):
            if answer == PROVEN:
                proven.add(origin)
                continue
            self._held |= dict.fromkeys(wanted[: int(answer)], origin)
            refused.update(wanted[int(answer) :])
        return refused, proven

    async def give_back(self, ended: Mapping[str, str]) -> None:
        """Return the permits of attempts that have ended, given as token and member with their outcomes."""
        by_origin: dict[str, list[str]] = {}
        for attempt in ended:
            if origin := self._held.get(attempt):
                by_origin.setdefault(origin, []).append(attempt)
        calls = []
        for origin, mine in by_origin.items():
            outcomes = [ended[attempt] for attempt in mine]
            unpaced = sum(outcome in _UNPACED for outcome in outcomes)
            proven = "1" if ANSWERED in outcomes else ""
            args: tuple[Bytes, ...] = (self._limit.interval_ms, unpaced, proven, *mine)
            calls.append(ScriptCall(SCRIPTS["return_permits_v1"], _names(origin), args))
        if calls:
            await run_many(self._redis, calls)
        for attempt in ended:
            self._held.pop(attempt, None)


def _names(origin: str) -> tuple[str, str]:
    return keys.permits(origin), keys.origin_proven(origin)

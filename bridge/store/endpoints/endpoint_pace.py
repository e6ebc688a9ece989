"""The rate limits of endpoints: deliveries a second, over all workers and shards."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from redis.asyncio import Redis

from bridge.store import endpoint_keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many

BURST_MS: Final = 1_000  # what a second may have can go at once


class PaceAsk(NamedTuple):
    """Deliveries that are due for one endpoint, which takes `rate` a second."""

    project: str
    endpoint: str
    rate: float
    wanted: int


class PaceGrant(NamedTuple):
    """How many deliveries may go now, and in how many milliseconds another one may."""

    granted: int
    wait_ms: int


class EndpointPace:
    """Grants deliveries to endpoints that have a limit."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def take(self, asked: Sequence[PaceAsk]) -> list[PaceGrant]:
        """Return what each of several endpoints may get now, in one round trip."""
        calls = [
            ScriptCall(
                SCRIPTS["take_pace_v1"],
                (endpoint_keys.pace(each.project, each.endpoint),),
                (str(interval_ms(each.rate)), str(max(BURST_MS, interval_ms(each.rate))), each.wanted),
            )
            for each in asked
        ]
        answers = await run_many(self._redis, calls) if calls else []
        return [PaceGrant(int(granted), int(wait_ms)) for granted, wait_ms in answers]


def interval_ms(rate: float) -> float:
    """Return the milliseconds between two deliveries at so many a second."""
    return 1000 / rate

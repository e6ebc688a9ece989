"""Read the breakers of URLs, which the scripts claim_fair and settle_fair change. Each shard has its own."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from bridge.domain.deliveries.breaker import Breaker, worst
from bridge.store import keys
from bridge.store.queue import breaker_keys

ANSWERS: Final = 4


def ask_breaker(pipe: Pipeline, shard: str, lane: str) -> None:
    """Ask for a lane's breaker: `ANSWERS` commands, whose answers `read_breaker` takes."""
    pipe.zscore(breaker_keys.streaks(shard), lane)
    pipe.zscore(breaker_keys.opened(shard), lane)
    pipe.zscore(breaker_keys.ramps(shard), lane)
    pipe.hget(keys.gate(shard, "dlv"), lane)


def read_breaker(answers: Sequence[Any]) -> Breaker:
    """Return what a shard knows of a lane's breaker."""
    streak, opened, ramp, gate = answers
    return Breaker(
        failures=int(streak or 0) % 1000,
        opened_ms=int(opened or 0),
        sleeps_until_ms=int(gate or 0),
        is_ramping=ramp is not None,
    )


class Breakers:
    """The breakers of all URLs."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._shards = shards

    async def look(self, lanes: Collection[str], *, now_ms: int) -> Mapping[str, Breaker]:
        """Return the breaker of each lane, in one round trip: over all shards the one that lets the least through."""
        if not lanes:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for lane in lanes:
            for shard in self._shards:
                ask_breaker(pipe, shard, lane)
        answers = await pipe.execute()
        found = [read_breaker(answers[at : at + ANSWERS]) for at in range(0, len(answers), ANSWERS)]
        many = len(self._shards)
        return {
            lane: worst(found[at : at + many], now_ms)
            for lane, at in zip(lanes, range(0, len(found), many), strict=True)
        }

    async def count_open(self) -> int:
        """Count the URLs whose breaker is open or half-open; one that is so in several shards counts in each."""
        pipe = self._redis.pipeline(transaction=False)
        for shard in self._shards:
            pipe.zcard(breaker_keys.opened(shard))
            pipe.zcard(breaker_keys.ramps(shard))
        answers = [int(answer) for answer in await pipe.execute()]
        return max(0, sum(answers[::2]) - sum(answers[1::2]))

"""How receivers fare: which origins have ever answered 2xx, and how often a destination has failed in a row."""

from collections.abc import Iterable, Sequence

from redis.asyncio import Redis

from bridge.domain.deliveries.lanes import INBOX
from bridge.store import keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run


class Destinations:
    """Facts that decide a destination's cap (unproven origins get few attempts at a time) and its breaker."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def proven(self, shard: str, origins: Iterable[str]) -> set[str]:
        """Return those of these origins that have answered 2xx; the built-in inbox is not asked for."""
        names = sorted(set(origins) - {INBOX})
        if not names:
            return set()
        asked = self._redis.hmget(keys.proven(shard), names)
        found = await asked  # type: ignore[misc]  # redis-py types both clients at once
        return {origin for origin, at_ms in zip(names, found, strict=True) if at_ms}

    async def note_success(self, shard: str, lane: str, origin: str, now_ms: int) -> None:
        """Note a 2xx: the origin is proven, the destination's failures are forgotten."""
        await self._note(shard, (lane, origin, now_ms))

    async def note_failure(self, shard: str, lane: str) -> int:
        """Count a failure; give how many there were in a row."""
        return await self._note(shard, (lane, "", ""))

    async def _note(self, shard: str, args: Sequence[str | int]) -> int:
        names = (keys.proven(shard), keys.failing(shard))
        return int(await run(self._redis, ScriptCall(SCRIPTS["fared_v1"], names, args)))

    async def known(
        self, shard: str, origins: Sequence[str], lanes: Sequence[str]
    ) -> tuple[set[str], dict[str, int]]:
        """Give in one round trip which origins have answered 2xx, and the failures in a row of those lanes that have any."""
        asked = [(keys.proven(shard), origins), (keys.failing(shard), lanes)]
        pipe = self._redis.pipeline(transaction=False)
        for key, names in asked:
            if names:
                pipe.hmget(key, list(names))
        answers = iter(await pipe.execute() if origins or lanes else ())
        found = [dict(zip(names, next(answers), strict=True)) if names else {} for _, names in asked]
        proven = {origin for origin, at_ms in found[0].items() if at_ms}
        return proven, {lane: int(count) for lane, count in found[1].items() if count}

"""The feed of a project: its events in the order of their positions, which they get in a second, repeatable step.

Events are born in their account's shard, together with the change that they tell, and wait in its outbox until they
have a position here. What a crash leaves there the sweep drains.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.records import Wanted, load_many
from bridge.store.scripts import SCRIPTS, ScriptCall, run

DRAIN_STEP = 200


class Feed:
    """The feeds of all projects; positions rise strictly within a project."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._shards = shards

    async def publish(self, project: str, events: Sequence[str]) -> list[int]:
        """Append events, remove them from the outbox, and return their positions, the same ones when repeated."""
        if not events:
            return []
        names = (keys.feed(project), keys.position(project))
        positions = await run(self._redis, ScriptCall(SCRIPTS["publish_v1"], names, events))
        await self._leave_outbox(events)
        return [int(position) for position in positions]

    async def _leave_outbox(self, events: Sequence[str]) -> None:
        by_shard: dict[str, list[str]] = {}
        for event in events:
            by_shard.setdefault(keys.shard(event), []).append(event)
        pipe = self._redis.pipeline(transaction=False)
        for shard, some in by_shard.items():
            pipe.zrem(keys.outbox(shard), *some)
        await pipe.execute()

    async def read(
        self, project: str, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> list[tuple[str, int]]:
        """Return pairs (event id, position): those after `after`, oldest first; else newest first, before `before`."""
        feed = keys.feed(project)
        if after is not None:
            rows = await self._redis.zrangebyscore(feed, f"({after}", "+inf", 0, limit, withscores=True)
        else:
            top = "+inf" if before is None else f"({before}"
            rows = await self._redis.zrevrangebyscore(feed, top, "-inf", 0, limit, withscores=True)
        return [(event.decode(), int(position)) for event, position in rows]

    async def last(self, project: str) -> int:
        """Return the last position in use, 0 before the first event."""
        return int(await self._redis.get(keys.position(project)) or 0)

    async def position_of(self, project: str, event: str) -> int | None:
        """Return an event's position, None if it has none yet."""
        position = await self._redis.zscore(keys.feed(project), event)
        return None if position is None else int(position)

    async def positions_of(self, project: str, events: Sequence[str]) -> dict[str, int]:
        """Return the positions of those events that have one."""
        if not events:
            return {}
        found = await self._redis.zmscore(keys.feed(project), list(events))
        return {event: int(at) for event, at in zip(events, found, strict=True) if at is not None}

    async def forget(self, project: str, events: Sequence[str]) -> None:
        """Remove events whose retention has ended; their positions are not used again."""
        if events:
            await self._redis.zrem(keys.feed(project), *events)

    async def drain_outbox(self, *, before_ms: int) -> int:
        """Publish events from before that time which are still in the outbox, after a crash; return their number."""
        return sum([await self._drain_shard(shard, before_ms) for shard in self._shards])

    async def _drain_shard(self, shard: str, before_ms: int) -> int:
        drained = 0
        while waiting := await self._waiting(shard, before_ms):
            records = (await load_many(self._redis, Wanted(events=waiting))).events
            by_project: dict[str, list[str]] = {}
            for event in waiting:
                if event in records:
                    by_project.setdefault(records[event].record.project, []).append(event)
            for project, events in by_project.items():
                await self.publish(project, events)
                drained += len(events)
            if lost := [event for event in waiting if event not in records]:  # their retention is over
                await self._leave_outbox(lost)
        return drained

    async def _waiting(self, shard: str, before_ms: int) -> list[str]:
        rows = await self._redis.zrangebyscore(keys.outbox(shard), "-inf", before_ms, 0, DRAIN_STEP)
        return [event.decode() for event in rows]

"""The feed of a project: its events in the order of their positions, which they get in a second, repeatable step.

Events are born in their account's shard, together with the change that they tell, and wait in its outbox until they
have a position here. What a crash leaves there the sweep drains.
"""

from collections.abc import Sequence
from itertools import islice

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.commit import Change, Committer, Rank
from bridge.store.grouping import Grouping
from bridge.store.records import UNREADABLE_RETRY_MS, Wanted, load_many
from bridge.store.scripts import SCRIPTS, ScriptCall, run_each

DRAIN_STEP = 200
MOST_TOGETHER = 64  # calls of `publish` in one round trip


class Feed:
    """The feeds of all projects; positions rise strictly within a project."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._committer = Committer(redis, aof=False)
        self._shards = shards
        self._together = Grouping(self._publish_each, most=MOST_TOGETHER)

    async def publish(self, project: str, events: Sequence[str]) -> list[int]:
        """Append events, remove them from the outbox, and return their positions, the same ones when repeated.

        It shares its round trips with what else is published in this iteration of the event loop.
        """
        return await self._together.ask((project, events)) if events else []

    async def _publish_each(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[int] | Exception]:
        """Publish with one script for each project; return positions, or the error, for each part of a feed."""
        by_project: dict[str, list[str]] = {}
        for project, events in asked:
            by_project.setdefault(project, []).extend(events)
        calls = [
            ScriptCall(SCRIPTS["publish_v1"], (keys.feed(project), keys.position(project)), events)
            for project, events in by_project.items()
        ]
        answers = dict(zip(by_project, await run_each(self._redis, calls), strict=True))
        done = [project for project in by_project if not isinstance(answers[project], Exception)]
        await self._leave_outbox([event for project in done for event in by_project[project]])
        places = {project: iter(answers[project]) for project in done}
        return [
            [int(place) for place in islice(places[project], len(events))]
            if project in places
            else answers[project]
            for project, events in asked
        ]

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
            page = await load_many(self._redis, Wanted(events=waiting))
            records = page.events
            by_project: dict[str, list[str]] = {}
            for event in waiting:
                if event in records:
                    by_project.setdefault(records[event].record.project, []).append(event)
            for project, events in by_project.items():
                await self.publish(project, events)
                drained += len(events)
            if page.unreadable:  # perhaps another version of the bridge can publish them
                later = before_ms + UNREADABLE_RETRY_MS
                ops = [Rank(keys.outbox(shard), event, later) for event in sorted(page.unreadable)]
                await self._committer.commit(Change(shard, (), ops))
            lost = [event for event in waiting if event not in records and event not in page.unreadable]
            if lost:  # their retention is over
                await self._leave_outbox(lost)
        return drained

    async def _waiting(self, shard: str, before_ms: int) -> list[str]:
        rows = await self._redis.zrangebyscore(keys.outbox(shard), "-inf", before_ms, 0, DRAIN_STEP)
        return [event.decode() for event in rows]

"""The feed of a project: its events in the order of their positions, which they get in a second, repeatable step.

Events are born in their account's shard, together with the change that they tell, and wait in its outbox until they
have had a position here for a while (`tables/outbox`).
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from bridge.store import feed_keys
from bridge.store.cluster_commands import Bytes
from bridge.store.grouping import Grouping
from bridge.store.scripts import SCRIPTS, ScriptCall, run, run_each
from bridge.store.server.subscriber import subscribe

MOST_TOGETHER = 64  # calls of `publish` in one round trip
FORGET_STEP = 500
# The clocks of the servers that a failover takes over from each other, and of those that tell events, may differ so much.
MARK_MARGIN_MS = 60_000


class Feed:
    """The feeds of all projects; positions rise strictly within a project.

    It remembers the highest position of each project that this process has seen. Where the store knows of less, which
    happens when a failover loses its last writes, the store goes on behind it.
    """

    def __init__(self, redis: Redis) -> None:
        """Take the client of the store."""
        self._redis = redis
        self._seen: dict[str, int] = {}
        self._together = Grouping(self._publish_each, most=MOST_TOGETHER)
        self.finish = self._together.finish

    async def publish(self, project: str, events: Sequence[str]) -> list[int]:
        """Append events and return their positions, the same ones when repeated.

        It shares its round trips with what else is published in this iteration of the event loop.
        """
        return [abs(place) for place in await self._place(project, events)]

    async def publish_late(self, project: str, events: Sequence[str]) -> list[str]:
        """Append those events that have no position, and return them."""
        places = await self._place(project, events)
        return [event for event, place in zip(events, places, strict=True) if place < 0]

    async def _place(self, project: str, events: Sequence[str]) -> list[int]:
        """Return positions, negative where they were given by this call."""
        return await self._together.ask((project, events)) if events else []

    async def _publish_each(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[int] | Exception]:
        """Publish with one script for each project; return positions, or the error, for each part of a feed."""
        by_project: dict[str, list[str]] = {}
        for project, events in asked:
            by_project.setdefault(project, []).extend(events)
        calls = [self._plan_call(project, events) for project, events in by_project.items()]
        answers = dict(zip(by_project, await run_each(self._redis, calls), strict=True))
        done = [project for project in by_project if not isinstance(answers[project], Exception)]
        for project in done:
            self._note(project, (abs(int(place)) for place in answers[project]))
        places = {project: iter(answers[project]) for project in done}
        return [
            [int(place) for place in islice(places[project], len(events))]
            if project in places
            else answers[project]
            for project, events in asked
        ]

    def _plan_call(self, project: str, events: Sequence[str]) -> ScriptCall:
        args: tuple[Bytes, ...] = (feed_keys.HINTS, project, self._seen.get(project, 0), *events)
        places = (feed_keys.feed(project), feed_keys.position(project), feed_keys.marks(project))
        return ScriptCall(SCRIPTS["publish_v3"], places, args)

    def _note(self, project: str, positions: Iterable[int]) -> None:
        self._seen[project] = max(self._seen.get(project, 0), *positions, 0)

    async def read(
        self, project: str, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> list[tuple[str, int]]:
        """Return pairs (event id, position): those after `after`, oldest first; else newest first, before `before`."""
        feed = feed_keys.feed(project)
        if after is not None:
            rows = await self._redis.zrangebyscore(feed, f"({after}", "+inf", 0, limit, withscores=True)
        else:
            top = "+inf" if before is None else f"({before}"
            rows = await self._redis.zrevrangebyscore(feed, top, "-inf", 0, limit, withscores=True)
        found = [(event.decode(), int(position)) for event, position in rows]
        if found:
            self._note(project, (found[0][1], found[-1][1]))
        return found

    async def last(self, project: str) -> int:
        """Return the last position in use, 0 before the first event."""
        return (await self.last_of([project]))[project]

    async def last_of(self, projects: Sequence[str]) -> dict[str, int]:
        """Return the last positions of several projects in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for project in projects:
            pipe.get(feed_keys.position(project))
        found = dict(zip(projects, map(_number, await pipe.execute()), strict=True)) if projects else {}
        for project, position in found.items():
            if position < self._seen.get(project, 0):
                found[project] = await self._go_on(project)
            self._note(project, (found[project],))
        return found

    async def _go_on(self, project: str) -> int:
        """Let a feed that has lost its last positions go on behind those that were seen; return its last position."""
        await run(self._redis, self._plan_call(project, ()))
        return _number(await self._redis.get(feed_keys.position(project)))

    async def listen(
        self, hear: Callable[[str | None], None], hear_resent: Callable[[str, str], None]
    ) -> None:
        """Call `hear` with a project whose feed has grown, None when any may have, until cancelled; see `subscribe`.

        Call `hear_resent` with project and id of an event that is sent again.
        """

        def take(channel: str, text: str | None) -> None:
            if channel == feed_keys.HINTS:
                hear(text)
            elif text is not None:
                project, _, event = text.partition(" ")
                hear_resent(project, event)

        await subscribe(self._redis, (feed_keys.HINTS, feed_keys.RESENT), take)

    async def tell_resent(self, project: str, event: str) -> None:
        """Tell those who listen that an event is sent again; who does not listen now never hears of it."""
        with suppress(NoPermissionError):  # whoever subscribes logs it, with the fix
            await self._redis.publish(feed_keys.RESENT, f"{project} {event}")

    async def skip_until(self, project: str, at_ms: int) -> int:
        """Return a position up to which all events were told before a time, 0 if none is known.

        About a thousand events that were told more than a minute before the time may lie behind it, and all of those that
        a version without marks published.
        """
        latest = at_ms - MARK_MARGIN_MS
        marks = await self._redis.zrevrangebyscore(feed_keys.marks(project), latest, "-inf", 0, 1)
        return int(marks[0]) if marks else 0

    async def position_of(self, project: str, event: str) -> int | None:
        """Return an event's position, None if it has none yet."""
        position = await self._redis.zscore(feed_keys.feed(project), event)
        return None if position is None else int(position)

    async def positions_of(self, project: str, events: Sequence[str]) -> dict[str, int]:
        """Return the positions of those events that have one."""
        if not events:
            return {}
        found = await self._redis.zmscore(feed_keys.feed(project), list(events))
        return {event: int(at) for event, at in zip(events, found, strict=True) if at is not None}

    async def size(self, project: str) -> int:
        """Return the number of a project's events."""
        return int(await self._redis.zcard(feed_keys.feed(project)))

    async def forget(self, project: str, events: Sequence[str]) -> None:
        """Remove events whose retention has ended; their positions are not used again."""
        places = (feed_keys.feed(project), feed_keys.forgotten(project))
        for start in range(0, len(events), FORGET_STEP):
            some = events[start : start + FORGET_STEP]
            await run(self._redis, ScriptCall(SCRIPTS["forget_v1"], places, some))

    async def forgotten(self, project: str) -> int:
        """Return the highest position whose event was removed, 0 if none was: what is behind it is complete."""
        return _number(await self._redis.get(feed_keys.forgotten(project)))


def _number(found: bytes | None) -> int:
    return int(found or 0)

"""The outbox of a shard: events that have no position in their project's feed yet, or have had it only for a moment.

Whoever writes an event publishes it at once. The sweep looks at each entry a little later: it publishes what a crash
has left behind, and what the feed has lost again, since a failover of the feed alone may lose its last writes.
"""

from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from bridge.store import feed_keys
from bridge.store.commit import Change, Committer, Rank, Unrank
from bridge.store.records import UNREADABLE_RETRY_MS, Wanted, load_many
from bridge.store.tables.feed import Feed

KEPT_MS: Final = 10_000  # so long an entry stays behind its publication
STEP: Final = 200
# Entries of versions before this one are ids alone. They left at once, after 5 s by the sweep.
OLD_AGE_MS: Final = 5_000


def outbox_member(event: str, project: str) -> str:
    """Return an event's entry, which tells its feed too, so that the sweep need not read the event."""
    return f"{event} {project}"


class Outbox:
    """The outboxes of the shards in use."""

    def __init__(self, redis: Redis, feed: Feed, shards: str) -> None:
        """Take the feeds to which events go."""
        self._redis = redis
        self._feed = feed
        self._shards = shards
        self._committer = Committer(redis, aof=False)

    async def drain(self, *, now_ms: int) -> int:
        """Publish what should be in its feed and is not; return how many events that were."""
        late = 0
        for shard in self._shards:
            late += await self._drain(shard, now_ms)
            late += await self._drain_old(shard, now_ms)
        return late

    async def _drain(self, shard: str, now_ms: int) -> int:
        """Remove the entries that are old enough; one that was published just now stays as if it were new."""
        outbox, late = feed_keys.outbox(shard), 0
        while entries := await self._read(outbox, now_ms - KEPT_MS):
            by_project: dict[str, list[str]] = {}
            for entry in entries:
                event, _, project = entry.partition(" ")
                by_project.setdefault(project, []).append(event)
            again: set[str] = set()
            for project, events in by_project.items():
                published = await self._feed.publish_late(project, events)
                again |= {outbox_member(event, project) for event in published}
            late += len(again)
            # By a script, since a full store refuses a command that may need memory.
            ops = [
                Rank(outbox, entry, now_ms) if entry in again else Unrank(outbox, entry) for entry in entries
            ]
            await self._committer.commit(Change(shard, (), ops))
        return late

    async def _read(self, outbox: str, before_ms: int) -> list[str]:
        rows = await self._redis.zrangebyscore(outbox, "-inf", before_ms, 0, STEP)
        return [row.decode() for row in rows]

    async def _drain_old(self, shard: str, now_ms: int) -> int:
        """Publish what a version before this one has left behind: its entries do not tell the project."""
        outbox, late, before_ms = feed_keys.old_outbox(shard), 0, now_ms - OLD_AGE_MS
        while events := await self._read(outbox, before_ms):
            page = await load_many(self._redis, Wanted(events=events))
            by_project: dict[str, list[str]] = {}
            for event, loaded in page.events.items():
                by_project.setdefault(loaded.record.project, []).append(event)
            for project, some in by_project.items():
                late += len(await self._feed.publish_late(project, some))
            if page.unreadable:  # perhaps another version of the bridge can publish them
                await self._put_off(shard, outbox, sorted(page.unreadable), before_ms + UNREADABLE_RETRY_MS)
            if done := [event for event in events if event not in page.unreadable]:
                await self._redis.zrem(outbox, *done)
        return late

    async def _put_off(self, shard: str, outbox: str, events: Sequence[str], until_ms: int) -> None:
        ops = [Rank(outbox, event, until_ms) for event in events]
        await self._committer.commit(Change(shard, (), ops))

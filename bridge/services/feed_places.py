"""Where a reader of a project's feed begins."""

from typing import Final

from msgspec import Struct

from bridge.domain.ids import read_shard
from bridge.services.context import Services

FIRST: Final = 0


class ReadingStart(Struct, frozen=True):
    """The position behind which to read. `oldest` is that of the oldest event left, if the reader has missed some."""

    after: int
    oldest: int | None = None


async def find_event(services: Services, project: str, event_id: str) -> int | None:
    """Return the position of an event of a project, None if it is not known, or not any more.

    One that has no position yet, because a crash kept it from the feed, gets one.
    """
    store = services.store
    if (position := await store.feed.position_of(project, event_id)) is not None:
        return position
    shard = read_shard(event_id, "evt_")
    event = await store.load_event(event_id) if shard and shard in store.shards else None
    if event is None or event.project != project:
        return None
    (position,) = await store.feed.publish(project, [event_id])
    return position


async def start_after(services: Services, project: str, position: int | None) -> ReadingStart:
    """Return where to begin behind a position; None: it was that of an event which is gone.

    A position that was never given counts as the last one: a failover may have lost it, and what comes gets positions
    behind the last one.
    """
    feed = services.store.feed
    last, forgotten = await feed.last(project), await feed.forgotten(project)
    if position is not None and position >= forgotten:
        return ReadingStart(min(position, last))
    oldest = await feed.read(project, after=FIRST, limit=1)
    return ReadingStart(FIRST if position is None else position, oldest[0][1] if oldest else last)

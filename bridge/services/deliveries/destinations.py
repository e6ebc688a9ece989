"""Lanes of deliveries: one a project and origin; origins that never answered 2xx share one over all projects.

So a dead receiver delays nobody else, and the bridge is no reflector: a stranger's host gets few attempts at a time,
however many projects name it.
"""

from collections.abc import Iterable, Sequence

from bridge.domain.jobs.outcome import Notification
from bridge.domain.jobs.records import Job
from bridge.store.store import Store

INBOX = "inbox:"
UNPROVEN = "?"  # first character of the shared lane of an origin that never answered 2xx

CAP = 10
UNPROVEN_CAP = 2
FAILING_CAP = 1
FAILING_AFTER = 5  # failures in a row


def lane_of(project: str, origin: str, *, proven: bool) -> str:
    """Name the lane of an origin's deliveries."""
    if origin == INBOX or proven:
        return f"{project} {origin}"
    return f"{UNPROVEN} {origin}"


def origin_of(lane: str) -> str:
    """Give the origin that a lane leads to."""
    return lane.split(" ", 1)[1]


def cap_of(lane: str, *, proven: bool, failures: int) -> int:
    """Give how many attempts a lane may have in flight."""
    if lane.startswith(UNPROVEN) and not proven:
        return UNPROVEN_CAP if failures < FAILING_AFTER else FAILING_CAP
    return CAP if failures < FAILING_AFTER else FAILING_CAP


async def load_proven(store: Store, shard: str, job: Job, notifications: Sequence[Notification]) -> set[str]:
    """Load which of the origins that these letters go to have answered 2xx before."""
    wanted = {notification.callback for notification in notifications}
    return await proven_origins(store, shard, {c.origin for c in job.callbacks if c.id in wanted})


async def proven_origins(store: Store, shard: str, origins: Iterable[str]) -> set[str]:
    """Load which of some origins have answered 2xx before."""
    return await store.destinations.proven(shard, sorted(set(origins) - {INBOX}))

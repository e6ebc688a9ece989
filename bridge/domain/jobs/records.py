"""The records of a watched job, and its states as one table.

Times are Unix milliseconds; records are packed as arrays, so new fields go to the end and carry a default.
"""

from enum import StrEnum

from msgspec import Struct

from bridge.domain.subscriptions.callback import Callback


class JobState(StrEnum):
    """Where a job stands in its watch; docs/architecture.md draws the same chart."""

    WATCHING = "watching"  # not ended as far as was seen; its clock runs
    MISSING = "missing"  # 404: in its grace, or waiting for the confirming read
    ENDED = "ended"  # this run's ending event is out
    TAIL = "tail"  # timed out; read slowly for 24 h, an ending is late


# One reading or one registration takes a job along one arrow. A 404 in the tail is counted there: the tail is slow, and
# its end must not be forgotten. ENDED leads straight to TAIL when a run is seen whose `.timed_out` was told before.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.WATCHING: frozenset({JobState.ENDED, JobState.MISSING, JobState.TAIL}),
    JobState.MISSING: frozenset({JobState.WATCHING, JobState.ENDED, JobState.TAIL}),
    JobState.TAIL: frozenset({JobState.ENDED, JobState.WATCHING}),
    JobState.ENDED: frozenset({JobState.WATCHING, JobState.MISSING, JobState.TAIL}),  # run n + 1; or gone
}


class Job(Struct, frozen=True, array_like=True, kw_only=True):
    """One upstream resource that ends, with its callbacks; written only by compare-and-set on its whole value."""

    project: str
    account: str
    kind: str
    id: str  # the upstream's
    born_ms: int  # the incarnation: part of every event id
    state: JobState
    run: int
    run_ms: int  # when this run was first known
    clock_ms: int  # from when the watch timeout counts; 0: it has not started (drafts)
    callbacks: tuple[Callback, ...] = ()
    schema: int = 1
    status: str = ""  # the upstream's last word
    ending: str = ""  # this run's ending word, while state is ENDED (or TAIL: "timed_out")
    ending_event: str = ""  # the id of the event that says so
    emitted: tuple[str, ...] = ()  # "run:name" of facts that already have events and could be found again
    parts: tuple[tuple[str, str], ...] = ()  # (id, ending word or "") of items or deliveries last seen
    superseded: tuple[str, ...] = ()  # items that a later run replaced
    persona: str = ""
    sequence: int = 0
    seen: bool = False
    missing_ms: int = 0  # first 404 of this absence
    missing_reads: int = 0
    tail_ms: int = 0  # when the slow tail stops; 0 unless the last deadline was told as `.timed_out`
    auth_refused: str = ""  # the outage last told, while it lasts
    awaited: tuple[str, ...] = ()  # items that must be seen before this run can end
    media: str = ""  # what is being made, as its registration told: how long that takes is known by it


class PollLog(Struct, frozen=True, array_like=True, kw_only=True):
    """What each poll writes: owned by the lease holder, so no other writer races for it.

    `ticks` and `spans` are the last 20 polls, packed: a thousand watched jobs are to fit into a megabyte.
    `marks.read_marks` unpacks them.
    """

    polls: int = 0
    streak: int = 0  # readings in a row that were no state (outage, 503)
    last_ms: int = 0
    digest: bytes = b""  # of the last object, to write it only when it changed
    ticks: bytes = b""  # for each poll: ms since the one before, ms that the upstream took
    spans: tuple[tuple[int, str, str], ...] = ()  # how many polls in a row showed (word, note)
    interval_s: float = 0.0  # the pace in force, unscaled
    timeout_s: float = 0.0  # the watch timeout in force, unscaled
    due_ms: int = 0
    seen_ms: int = 0  # when the upstream last showed the object

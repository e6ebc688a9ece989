"""The records of a watched job, and its states as one table.

Times are Unix milliseconds; records are packed as arrays, so new fields go to the end and carry a default.
"""

from enum import StrEnum

from msgspec import Struct

from bridge.domain.subscriptions.callback import Callback


class JobState(StrEnum):
    """The states of a watched job; docs/architecture.md draws the same chart."""

    WATCHING = "watching"  # has not ended as far as was seen
    MISSING = "missing"  # answered with 404: in its grace, or waiting for the confirming read
    ENDED = "ended"  # the ending event of this run is written
    TAIL = "tail"  # timed out; polled slowly for 24 h, an ending is late


# One poll or one registration makes at most one of these transitions. A 404 does not lead from TAIL to MISSING, because
# the end of the slow tail must be kept. ENDED leads to TAIL when a run is seen whose `.timed_out` was sent before.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.WATCHING: frozenset({JobState.ENDED, JobState.MISSING, JobState.TAIL}),
    JobState.MISSING: frozenset({JobState.WATCHING, JobState.ENDED, JobState.TAIL}),
    JobState.TAIL: frozenset({JobState.ENDED, JobState.WATCHING}),
    JobState.ENDED: frozenset({JobState.WATCHING, JobState.MISSING, JobState.TAIL}),  # run n + 1; or gone
}


class Member(Struct, frozen=True, array_like=True, kw_only=True):
    """A job that a group waits for, in the group's own record."""

    kind: str
    id: str  # at the provider
    ending: str = ""  # how it has ended, empty while it is open
    event: str = ""  # id of the event that says so
    parent: int = -1  # of a chain: the place of the member that it came of
    link: str = "known"  # "inferred": nothing says that it came of that one
    told: int = 0  # the last of its events, by their sequence, that the chain's callbacks have heard
    ended_ms: int = 0  # when the chain first saw that it had ended


class Job(Struct, frozen=True, array_like=True, kw_only=True):
    """A provider's resource that ends, with its callbacks; written only by compare-and-set on the whole record.

    A group of jobs has such a record too: its `id` is the bridge's own, and it ends when all its `members` have. So has a
    chain, a job with all that comes of it.
    """

    project: str
    account: str
    kind: str
    id: str  # at the provider
    born_ms: int  # when this record was made; part of every event id
    state: JobState
    run: int
    run_ms: int  # when this run was first known
    clock_ms: int  # from when on the watch timeout counts; 0: it has not started (drafts)
    callbacks: tuple[Callback, ...] = ()
    schema: int = 1
    status: str = ""  # the last one seen
    ending: str = ""  # the last word of this run's ending event, while state is ENDED (or TAIL: "timed_out")
    ending_event: str = ""  # id of that event
    emitted: tuple[str, ...] = ()  # "run:name" of facts that have events and could be found again
    parts: tuple[tuple[str, str], ...] = ()  # (id, ending word or "") of items or deliveries last seen
    superseded: tuple[str, ...] = ()  # items that a later run replaced
    persona: str = ""
    sequence: int = 0
    seen: bool = False
    missing_ms: int = 0  # first 404 of this absence
    missing_reads: int = 0
    tail_ms: int = 0  # when the slow tail ends; 0 if no `.timed_out` was sent
    auth_refused: str = (
        ""  # the refusal of the account's key that callbacks were last notified of, while it lasts
    )
    awaited: tuple[str, ...] = ()  # items that must be seen before this run can end
    media: str = ""  # media type named at registration, for an estimate of the duration
    claimed: str = ""  # hash of an ending that the last poll claimed and open parts contradict
    before: str = ""  # mark of the results of a run that a call has ended (`baseline.mark_results`)
    members: tuple[Member, ...] = ()  # of a group or a chain

    @property
    def timed_kind(self) -> str:
        """The kind whose documented times count: a group has those of its members."""
        return self.members[0].kind if self.members else self.kind


def is_running(job: Job) -> bool:
    """Whether a job's clock runs: it has neither ended nor timed out, and is neither a draft nor a group."""
    return job.state not in (JobState.ENDED, JobState.TAIL) and job.clock_ms > 0 and not job.members


class PollLog(Struct, frozen=True, array_like=True, kw_only=True):
    """What each poll writes; only the holder of the job's lease writes it, so that there are no conflicts.

    `ticks` and `spans` are the last 20 polls, packed so that a thousand watched jobs fit into a megabyte.
    `poll_history.read_poll_history` unpacks them.
    """

    polls: int = 0
    streak: int = 0  # broken answers in a row (outage, 503)
    last_ms: int = 0
    digest: bytes = b""  # of the last object, to write it only when it changed
    ticks: bytes = b""  # for each poll: ms since the one before, ms that the provider took
    spans: tuple[tuple[int, str, str], ...] = ()  # how many polls in a row showed (word, note)
    interval_s: float = 0.0  # the present poll interval, unscaled
    timeout_s: float = 0.0  # the present watch timeout, unscaled
    due_ms: int = 0
    seen_ms: int = 0  # when the object was last seen

"""What a reading leads to: news about a job, and letters that carry it to callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.domain.events.event import Fact
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.observation import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTraits:
    """The kind of a job's parts, and the field of their `related` ids that names the whole."""

    kind: str
    parent_field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTraits:
    """What the state machine needs to know of a kind.

    `timing` is its pace before anything was seen; `clock` is what the watch timeout counts from. Each of
    `review_words` is an event when a review shows it. `reported_parts` is set where the end of each part is an event
    of its own, `replaceable_parts` where a new run puts new parts in the place of old ones that may be watched
    themselves. `persona_field` is the field of `related` that holds the job's persona.
    """

    kind: str
    timing: Timing
    clock: str  # "registration", "parts", "first_part"
    review_words: frozenset[str] = frozenset()
    reported_parts: PartTraits | None = None
    replaceable_parts: PartTraits | None = None
    persona_field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollContext:
    """When a read was made: `begun_ms` and `now_ms` by the store's clock, `took_ms` at the upstream.

    `digest` is a hash of the answer's bytes. `outage` names the account's confirmed refusal, empty without one.
    `vanishing` says that many jobs of the account are gone at once. `source` is "list" where a list's row showed it.
    """

    begun_ms: int
    now_ms: int
    took_ms: int = 0
    digest: bytes = b""
    auth_refused: str = ""
    vanishing: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """One fact with its name (unique in its run) and type; `closes` ends the callbacks that take one call.

    `of_part` says that it is the end of a part, such as an outgoing post's delivery, which has a kind of its own.
    `only` names the callbacks it is for, who hear it even where it has its event already (their own time-outs, an
    outage they were not told of); None means all that are there when it is told for the first time.
    """

    name: str
    type: str
    fact: Fact
    closes: bool = False
    of_part: bool = False
    only: frozenset[str] | None = None

    @property
    def ends(self) -> bool:
        """Whether it is an ending, of the job or of a part: what a callback without a filter hears."""
        return self.closes or self.of_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one reading alone does: the job moved on, and its news.

    `confirms` says that the reading showed the very ending in which the job now stands: only then may an ending that
    was told before be told to a callback that came after it.
    """

    job: Job
    drafts: tuple[EventDraft, ...] = ()
    confirms: bool = False
    replaced: tuple[str, ...] = ()
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One event on its way to one callback; `late`: that callback had heard `.timed_out` of the same run."""

    event: str
    type: str
    callback: str
    closes: bool
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """News that has no event yet, with the id and the place in the job's sequence it gets."""

    event: str
    sequence: int
    drafts: EventDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A job moved on: its new records, what to tell whom, and when to read again (None: not any more).

    `data` is the object to keep, None when none was shown. `replaced` are items a new run did away with.
    """

    job: Job
    log: PollLog
    new_events: tuple[NewEvent, ...]
    notifications: tuple[Notification, ...]
    delay_ms: int | None
    data: Mapping[str, Any] | None = None
    replaced: tuple[str, ...] = ()

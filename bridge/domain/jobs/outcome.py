"""What the result of a poll leads to: drafts of events, events, and notifications of callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

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
    """What the state machine needs to know about a kind.

    `timing` applies before the first observation; `clock` is what the watch timeout counts from. A review's result has
    an event if it is one of `review_words`. `reported_parts` is set if the end of each part is an event of its own,
    `replaceable_parts` if a new run replaces parts that may be watched themselves. `failed_part_words` are the
    endings that say that a part failed. `persona_field` is the field of `related` that holds the job's persona, `result_fields` are
    those of the object that hold what was made.
    """

    kind: str
    timing: Timing
    clock: str  # "registration", "parts", "first_part"
    review_words: frozenset[str] = frozenset()
    reported_parts: PartTraits | None = None
    replaceable_parts: PartTraits | None = None
    failed_part_words: frozenset[str] = frozenset()
    persona_field: str = ""
    result_fields: tuple[str, ...] = ()


class PollContext(Struct, frozen=True, kw_only=True, gc=False):
    """The circumstances of a poll: `begun_ms` and `now_ms` by the store's clock, `took_ms` waiting for the provider.

    `digest` is a hash of the answer's bytes. `auth_refused` identifies a confirmed refusal of the account's key, empty
    without one. `vanishing`: many jobs of the account are not found at once. `source` is "list" for a row of a list.
    `lag_max_ms` is how old what was seen is at most; None: as old as the poll before.
    """

    begun_ms: int
    now_ms: int
    took_ms: int = 0
    digest: bytes = b""
    auth_refused: str = ""
    vanishing: bool = False
    source: str = ""
    lag_max_ms: int | None = None


class EventDraft(Struct, frozen=True, kw_only=True, gc=False):
    """A fact with its name (unique in its run) and type; `closes` closes callbacks with `once`.

    `of_part`: the fact is the end of a part with a kind of its own, such as an outgoing post's delivery.
    `only` are the ids of the callbacks that it is for, which are notified even if the fact has its event already (their
    own time-outs, a refusal that they were not notified of). None means all callbacks that exist at the first time.
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


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """The effect of a poll's result on the job itself, before any callback is notified.

    `confirms`: the poll showed the ending that the job has now. Only then may a callback that was registered after that
    ending be notified of it.
    """

    job: Job
    drafts: tuple[EventDraft, ...] = ()
    confirms: bool = False
    replaced: tuple[str, ...] = ()
    data: Mapping[str, Any] | None = None


class Notification(Struct, frozen=True, kw_only=True, gc=False):
    """An event for one callback, before it is a delivery; `late`: the callback got `.timed_out` of the same run."""

    event: str
    type: str
    callback: str
    closes: bool
    late: bool = False


class NewEvent(Struct, frozen=True, kw_only=True, gc=False):
    """A draft of an event that is to be written, with its id and its number in the job's sequence."""

    event: str
    sequence: int
    draft: EventDraft


class Transition(Struct, frozen=True, kw_only=True, gc=False):
    """All effects of a poll: new records, events, notifications, and the delay to the next poll (None: there is none).

    `data` is the observed object, None if none was shown. `replaced` are the items that a new run replaced.
    """

    job: Job
    log: PollLog
    new_events: tuple[NewEvent, ...]
    notifications: tuple[Notification, ...]
    delay_ms: int | None
    data: Mapping[str, Any] | None = None
    replaced: tuple[str, ...] = ()

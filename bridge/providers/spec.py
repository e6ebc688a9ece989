"""Describe a kind of job as data: where it is read, its words, pace and events, and the names that requests use."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from bridge.domain.events.catalogue import EVERY_ENDING, KindEvents, KindSample
from bridge.domain.events.fields import Field, Role
from bridge.domain.jobs.outcome import KindTraits, PartTraits
from bridge.domain.observation import Observation, Outcome, Timing
from bridge.domain.polling.rate_limit import Limit

# Lenient on purpose: the providers show UUIDs and short words but promise neither. What must never pass is
# anything that changes the path it is put into.
JOB_ID = re.compile(r"\A(?!\.\Z)(?!.*\.\.)[A-Za-z0-9._~:-]{1,200}\Z", re.ASCII)

# Every kind can end in these ways.
BRIDGE_ENDINGS: Mapping[str, Outcome] = MappingProxyType(
    {word: outcome for word, (outcome, _) in EVERY_ENDING.items()}
)

# The limit that all requests to a provider count under, unless its reads have limits of their own.
SHARED_LIMIT = "api"

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Clock(StrEnum):
    """What the watch timeout counts from."""

    REGISTRATION = "registration"
    PARTS = "parts"
    FIRST_PART = "first_part"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraWords:
    """An operator's further words for kinds whose vocabulary is undocumented; they win over the built-in tables."""

    done: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


NO_EXTRA_WORDS = ExtraWords()


class Lens(Struct, frozen=True, kw_only=True, gc=False):
    """What a reader knows beside the object itself; `superseded` are part ids that a new run has replaced."""

    now_ms: int
    words: ExtraWords = NO_EXTRA_WORDS
    superseded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorShape:
    """Where a provider's error body keeps its code and message, as paths of keys.

    A 404 counts as the provider's own only in this shape: a framework's or gateway's 404 speaks of a route.
    `not_missing` are 404 codes that speak of something else than the job.
    """

    code: tuple[str, ...]
    message: tuple[str, ...]
    not_missing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSpec:
    """A list call whose rows show many jobs of a kind; one that is not `documented` is tried once before it counts.

    `{persona}` in its `path` makes it one list for each persona, which the list at `personas` names.
    """

    path: str
    documented: bool
    personas: str = ""

    def name_for(self, persona: str) -> str:
        """Return the path of the list that shows a persona's jobs, empty where it takes a persona and has none."""
        if "{persona}" not in self.path:
            return self.path
        return self.path.replace("{persona}", persona) if JOB_ID.fullmatch(persona) else ""

    def matches(self, path: str) -> bool:
        """Return whether a path is that of the list, for whatever persona."""
        start, mark, end = self.path.partition("{persona}")
        persona = path.removeprefix(start).removesuffix(end)
        return path == self.path if not mark else self.name_for(persona) == path


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedParts:
    """The list in which the answer to a retry pairs each failed part with its successor, as a request may pass it on."""

    field: str
    original: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestNames:
    """How a registration names a job of a kind, in the words of the provider's own answers.

    Each of `fields` may hold the id; the last is the one that the API documents. With `needs_kind` they mean this
    kind only beside `kind`, because another kind claims them. `takes_bare_ids` marks the one kind that the bridge's
    own `job_id` and `job_ids` mean in a request without `kind`. An object with an `id` and the list `shape` is of
    this kind, and `relatives` are fields with which it names other jobs, not itself.
    """

    fields: tuple[str, ...] = ()
    needs_kind: bool = False
    takes_bare_ids: bool = False
    shape: str = ""
    relatives: frozenset[str] = frozenset()
    retried: RetriedParts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSpec:
    """Where a provider gives a link to a finished job's file, and the rate limit that such requests count under.

    `path` is relative to the provider's URL, `link_field` the answer's field that holds the link. `not_ready` and
    `missing` are codes of refusals: the file is not made yet, and it is gone.
    """

    path: str
    limit: Limit
    link_field: str
    not_ready: str
    missing: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KindSpec:
    """One kind of job: where it is read, which words it speaks, how fast, and what its events say.

    `noun` is the kind in a sentence. `endings`, `progress` and `reviews` map the last words of its event types to
    what each means. `ends` maps an upstream word to an ending's word, `runs` to a progress word (None: merely
    queued); an upstream word in neither is reported as unknown and never ends a job. Times are seconds before any
    scale. `data_fields` are the documented fields of the object, `sample` an invented one. `names` are what requests
    call it; a kind that `reruns` may begin a new run after it has ended. `extra_words` begins the names of the settings
    with which an operator adds words to a vocabulary that is not documented, empty where it is documented.

    With one of `dormant_words` a whole has not begun; with one of `settled_words` it will not move without parts.

    `part` is the kind of the objects in `parts_field`; `part_kinds` are the kinds of event that a part can lead to.
    `parts_are_reported` says that the end of each part is an event of its own, `parts_are_replaced` that a new run may
    put new parts in the place of old ones. A part names the whole in `parent_field`; `persona_field` holds the persona
    that the job belongs to. `path` is relative to the provider's URL, and empty for a kind that is only seen as a
    part. `limit` names the rate limit that its reads count under, at a provider that has several. `download` says where
    the link to a finished job's file is, where there is one.
    """

    name: str
    provider: str
    noun: str
    path: str
    timing: Timing
    expected_s: tuple[float, float]
    endings: Mapping[str, tuple[Outcome, str]]
    progress: Mapping[str, str]
    ends: Mapping[str, str]
    runs: Mapping[str, str | None]
    errors: ErrorShape
    observe: Callable[["KindSpec", Mapping[str, Any], Lens], Observation]
    data_fields: tuple[Field, ...]
    sample: KindSample
    names: RequestNames = RequestNames()
    registrable: bool = True
    reruns: bool = False
    clock: Clock = Clock.REGISTRATION
    id_pattern: re.Pattern[str] = JOB_ID
    id_fields: tuple[str, ...] = ("id",)
    envelopes: tuple[str, ...] = ("data", "post")
    status_field: str = "status"
    null_status_is_queued: bool = False
    loose_words: bool = False
    extra_words: str = ""
    error_fields: tuple[str, ...] = ("error_message",)
    review_field: str | None = None
    reviews: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    quiet_review_words: frozenset[str] = frozenset()
    dormant_words: frozenset[str] = frozenset()
    settled_words: frozenset[str] = frozenset()
    related_fields: tuple[str, ...] = ()
    parts_field: str | None = None
    part: "KindSpec | None" = None
    part_kinds: tuple[str, ...] = ()
    parts_are_reported: bool = False
    parts_are_replaced: bool = False
    parent_field: str | None = None
    persona_field: str = ""
    media_field: str | None = None
    timing_by_media: Mapping[str, Timing] = field(default_factory=lambda: NOTHING)
    expected_by_media: Mapping[str, tuple[float, float]] = field(default_factory=lambda: NOTHING)
    download: DownloadSpec | None = None
    list: ListSpec | None = None
    limit: str = SHARED_LIMIT
    ending_words: Mapping[str, Outcome] = field(init=False)
    progress_words: tuple[str, ...] = field(init=False)
    review_words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the plain words, which every read looks up."""
        own = {word: outcome for word, (outcome, _) in self.endings.items()}
        object.__setattr__(self, "ending_words", MappingProxyType({**own, **BRIDGE_ENDINGS}))
        object.__setattr__(self, "progress_words", tuple(self.progress))
        object.__setattr__(self, "review_words", tuple(self.reviews))

    @property
    def traits(self) -> KindTraits:
        """What the state machine needs to know of this kind."""
        part = (
            PartTraits(kind=self.part.name, parent_field=self.part.parent_field or "") if self.part else None
        )
        return KindTraits(
            kind=self.name,
            timing=self.timing,
            clock=str(self.clock),
            review_words=frozenset(self.review_words),
            reported_parts=part if self.parts_are_reported else None,
            replaceable_parts=part if self.parts_are_replaced else None,
            failed_part_words=self.part.words_for(Outcome.FAILED) if self.part else frozenset(),
            persona_field=self.persona_field,
            result_fields=tuple(each.name for each in self.data_fields if each.role is Role.OUTPUT),
        )

    @property
    def events(self) -> KindEvents:
        """What the catalogue of event types needs to know of this kind."""
        states = (self.status_field, self.review_field, *self.error_fields)
        return KindEvents(
            kind=self.name,
            noun=self.noun,
            endings=self.endings,
            progress={**self.progress, **self.reviews},
            fields=self.data_fields,
            sample=self.sample,
            related=self.related_fields,
            status_field=self.status_field,
            state_fields=tuple(name for name in states if name),
            parts_field=self.parts_field or "",
            part=self.part.name if self.part else "",
            reports_parts=self.parts_are_reported,
            parent_field=self.parent_field or "",
            has_download=self.download is not None,
        )

    def words_for(self, outcome: Outcome) -> frozenset[str]:
        """Return the ending words that stand for an outcome."""
        return frozenset(word for word, meant in self.ending_words.items() if meant is outcome)

    def path_for(self, job_id: str) -> str:
        """Return the path of one job's read, relative to the provider's URL.

        Raise ValueError for an id that no path may carry.
        """
        return self._fill(self.path, job_id)

    def matches(self, path: str) -> bool:
        """Return whether a path is that of one job's read."""
        return self.id_in(path) is not None

    def id_in(self, path: str) -> str | None:
        """Return the id of the job whose read a path is, None for any other path."""
        start, _, end = self.path.partition("{id}")
        job_id = path.removeprefix(start).removesuffix(end)
        is_read = bool(start) and path == start + job_id + end and bool(self.id_pattern.fullmatch(job_id))
        return job_id if is_read else None

    def download_path_for(self, job_id: str) -> str:
        """Return the path that gives the link to one job's file; raise ValueError as `path_for` does."""
        return self._fill(self.download.path if self.download else "", job_id)

    def _fill(self, path: str, job_id: str) -> str:
        if not path or not self.id_pattern.fullmatch(job_id):
            raise ValueError(f"no {self.name} can be read under this id")
        return path.replace("{id}", job_id)

    def timing_for(self, media_type: object) -> Timing:
        """Return the documented pace for a media type, the kind's own when the type is unknown."""
        if not isinstance(media_type, str):
            return self.timing
        return self.timing_by_media.get(media_type.strip().casefold(), self.timing)

    def sort_for(self, interval_s: float) -> str:
        """Return the media type whose pace a job has, empty where none is known."""
        return next((m for m, timing in self.timing_by_media.items() if timing.interval_s == interval_s), "")

    def expected_for(self, sort: str) -> tuple[tuple[float, float], ...]:
        """Return the documented durations for a media type in seconds, as ranges that are equally likely."""
        if sort in self.expected_by_media:
            return (self.expected_by_media[sort],)
        return tuple(self.expected_by_media.values()) or (self.expected_s,)

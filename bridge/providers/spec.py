"""Describe a provider as data: its kinds, paths, words, pace, credentials and error shape."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bridge.domain.jobs.outcome import KindTraits, PartTraits
from bridge.domain.observation import Observation, Outcome, Timing

# Lenient on purpose: the providers show UUIDs and short words but promise neither. What must never pass is
# anything that changes the path it is put into.
JOB_ID = re.compile(r"\A(?!\.\Z)(?!.*\.\.)[A-Za-z0-9._~:-]{1,200}\Z", re.ASCII)

# Every kind can end in these ways, whatever its upstream calls its own ends (contract, section 4). A job that was
# never seen may exist elsewhere, so `not_found` claims no more than `timed_out` does.
BRIDGE_ENDINGS: Mapping[str, Outcome] = MappingProxyType(
    {"deleted": Outcome.DELETED, "not_found": Outcome.UNKNOWN, "timed_out": Outcome.UNKNOWN}
)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
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
    """A list call whose rows show many jobs of a kind.

    `path` is relative to the provider's URL; `{persona}` in it makes it one list for each persona. Of a list that is
    `documented` the path may be relied upon; any other is tried once an account before it counts for anything.
    """

    path: str
    documented: bool

    def name_for(self, persona: str) -> str:
        """Name the list that shows a persona's jobs, which is its path; empty where it takes a persona and has none."""
        if "{persona}" not in self.path:
            return self.path
        return self.path.replace("{persona}", persona) if JOB_ID.fullmatch(persona) else ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KindSpec:
    """One kind of job: where it is read, which words it speaks, and how fast.

    `ends` maps an upstream word to the event's ending word, `runs` to its progress word (None: merely queued); a word
    in neither is reported as unknown and never ends a job. Times are seconds before any scale. `part` is the kind
    whose words the objects in `parts_field` speak; `part_kinds` are the kinds of event that a part can tell of.
    `parts_are_reported` says that the end of each part is an event of its own, `parts_are_replaced` that a new run may
    put new parts in the place of old ones. A part names the whole in `parent_field`; `persona_field` holds the persona
    that the job belongs to.
    `path` is relative to the provider's URL, and empty for a kind that is only seen as a part. `limit` names the rate
    limit that its reads count under, at a provider that has several.
    """

    name: str
    provider: str
    path: str
    timing: Timing
    expected_s: tuple[float, float]
    ending_words: Mapping[str, Outcome]
    progress_words: tuple[str, ...]
    ends: Mapping[str, str]
    runs: Mapping[str, str | None]
    errors: ErrorShape
    observe: Callable[["KindSpec", Mapping[str, Any], Lens], Observation]
    registrable: bool = True
    clock: Clock = Clock.REGISTRATION
    id_pattern: re.Pattern[str] = JOB_ID
    id_fields: tuple[str, ...] = ("id",)
    envelopes: tuple[str, ...] = ("data", "post")
    status_field: str = "status"
    null_status_is_queued: bool = False
    loose_words: bool = False
    takes_extra_words: bool = False
    error_fields: tuple[str, ...] = ("error_message",)
    review_field: str | None = None
    review_words: tuple[str, ...] = ()
    quiet_review_words: frozenset[str] = frozenset()
    dormant_words: frozenset[str] = frozenset()
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
    download_path: str | None = None
    list: ListSpec | None = None
    limit: str = "api"

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
            persona_field=self.persona_field,
        )

    def path_for(self, job_id: str) -> str:
        """Path of one job's read, relative to the provider's URL; ValueError for an id that no path may carry."""
        if not self.path or not self.id_pattern.fullmatch(job_id):
            raise ValueError(f"no {self.name} can be read under this id")
        return self.path.replace("{id}", job_id)

    def timing_for(self, media_type: object) -> Timing:
        """Documented pace for a media type, the kind's own when the type is unknown."""
        if not isinstance(media_type, str):
            return self.timing
        return self.timing_by_media.get(media_type.strip().casefold(), self.timing)

    def sort_for(self, interval_s: float) -> str:
        """Name the sort of a job by the pace that its media type gave it: the type, empty where none is known."""
        return next((m for m, timing in self.timing_by_media.items() if timing.interval_s == interval_s), "")

    def expected_for(self, sort: str) -> tuple[tuple[float, float], ...]:
        """Documented durations of a sort in seconds, as ranges that are equally likely."""
        if sort in self.expected_by_media:
            return (self.expected_by_media[sort],)
        return tuple(self.expected_by_media.values()) or (self.expected_s,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialForm:
    """One form of credential a provider hands out, with the documented limit of reads for it."""

    name: str
    pattern: re.Pattern[str]
    requests_per_minute: int


class Standing(StrEnum):
    """What a check of a credential showed."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProviderSpec:
    """One upstream API.

    `base_url` is the default; kinds' paths follow it. A credential is checked by reading `check_kind` under
    `check_id`, an id that names nothing: the cheapest read that every key may try (see `read.read_credential`).
    """

    name: str
    title: str
    base_url: str
    kinds: Mapping[str, KindSpec]
    credentials: tuple[CredentialForm, ...]
    auth_header: str
    auth_prefix: str
    check_kind: KindSpec
    check_id: str

    @property
    def check_path(self) -> str:
        """Path of the read that verifies a credential."""
        return self.check_kind.path_for(self.check_id)

    @property
    def credential_pattern(self) -> re.Pattern[str]:
        """Matches the whole of any credential that this provider hands out."""
        return re.compile("|".join(form.pattern.pattern for form in self.credentials), re.ASCII)

    def requests_per_minute(self, credential: str) -> int:
        """Documented reads per minute for this credential; the lowest of the provider when its form is unknown."""
        for form in self.credentials:
            if form.pattern.fullmatch(credential):
                return form.requests_per_minute
        return min(form.requests_per_minute for form in self.credentials)

    def auth_headers(self, credential: str) -> dict[str, str]:
        """Headers that authenticate a request; ValueError, without the credential, for one no header can carry."""
        if not credential.isascii() or not credential.isprintable() or not credential.strip():
            raise ValueError(f"a {self.title} credential is printable ASCII")
        return {self.auth_header: f"{self.auth_prefix}{credential}"}


def endings(**own: Outcome) -> Mapping[str, Outcome]:
    """A kind's ending words: its own, and those that every kind has."""
    return MappingProxyType({**own, **BRIDGE_ENDINGS})

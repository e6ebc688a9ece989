"""The events that `reelbridge certify` sends: samples of one kind of job, each with an id of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from bridge.domain.certification.steps import CaseRequest
from bridge.domain.events.catalogue import Catalogue, EventType
from bridge.domain.events.event import DATA_BYTES, build_body, build_event
from bridge.domain.events.samples import sample_fact
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Outcome

METADATA = {"order": "42"}
UNICODE = 'Grüße, 世界 🎬 \u2028 \\ " </script>'
_CALLBACK = "cb_aq2wk7n4xr6tz3bmeh5dcyuvl"
_STEP_MS = 1000  # between two events of a job


@dataclass(slots=True, kw_only=True)
class EventMaker:
    """Makes the events of one certification, all of one kind of job.

    `mark` is text that no other certification has: it is in every id, so that a receiver takes none for a repeat.
    `payload` is the form of the bodies, `at_ms` the time of the first event of each job.
    """

    catalogue: Catalogue
    kind: str
    mark: str
    payload: str
    at_ms: int
    base_url: str
    _made: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def make(
        self,
        word: str,
        *,
        job: str,
        sequence: int = 1,
        run: int = 1,
        late: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> CaseRequest:
        """Return the request of one event. `extra` are fields that are added to the job's object."""
        event_id = f"evt_test_{self.mark}{next(self._made):03}"
        fact = sample_fact(self.catalogue, f"{self.kind}.{word}")
        data = {**self.data_of(word, job=job), **(extra or {})}
        at_ms = self.at_ms + sequence * _STEP_MS
        stored = build_event(
            self.catalogue,
            replace(fact, job_id=data["id"], run=run, late=late, data=data),
            event_id=event_id,
            at_ms=at_ms,
            sequence=sequence,
            polls=sequence,
            lag_max_ms=None,
        )
        body = build_body(
            self.catalogue,
            stored,
            payload=self.payload,
            subscription_id=_CALLBACK,
            metadata=METADATA,
            test=True,
            base_url=self.base_url,
        )
        return CaseRequest(event_id=event_id, body=body)

    def data_of(self, word: str, *, job: str) -> dict[str, Any]:
        """Return the job's object as an event shows it."""
        return {**sample_fact(self.catalogue, f"{self.kind}.{word}").data, "id": f"{self.mark}-{job}"}


def choose_kind(catalogue: Catalogue) -> str:
    """Return the first kind of job that can end in part."""
    return next(
        kind
        for kind, events in catalogue.kinds.items()
        if any(outcome is Outcome.PARTIAL for outcome, _ in events.endings.values())
    )


def find_word(catalogue: Catalogue, kind: str, outcome: Outcome) -> str:
    """Return the word of a kind's first ending that has an outcome."""
    return next(word for word, (found, _) in catalogue.kinds[kind].endings.items() if found is outcome)


def find_progress(catalogue: Catalogue, kind: str) -> str:
    """Return the word of a kind's first event that is no ending."""
    return next(iter(catalogue.kinds[kind].progress))


def list_endings(catalogue: Catalogue, kind: str) -> list[EventType]:
    """Return the events that end a job of a kind, those of every kind too."""
    return [each for each in catalogue.types.values() if each.kind == kind and each.ending]


def fill_up(data: Mapping[str, Any]) -> str:
    """Return a text that makes an object, as its field `text`, the largest that is sent whole."""
    bare = len(to_js_json({**data, "text": ""}))
    return "x" * (DATA_BYTES - bare)

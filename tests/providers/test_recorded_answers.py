"""Every recorded answer means what its file says, and no kind or error meaning goes unrecorded."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from bridge.domain.observation import Observation, Observed, Outcome, PollResult, Throttled, UpstreamBusy
from bridge.providers import KINDS, PROVIDERS, ExtraWords, KindSpec
from bridge.providers.read import read_answer
from bridge.providers.spec import BRIDGE_ENDINGS

HERE = Path(__file__).parent
NOW_MS = 1_767_609_000_000  # 2026-01-05T10:30:00Z, the moment all files speak of

# Endings that no answer states: the bridge concludes them (404s, the clock, a regenerated sibling).
CONCLUDED = {*BRIDGE_ENDINGS, "replaced"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    provider: str
    name: str
    content: Mapping[str, Any]

    @property
    def kinds(self) -> list[KindSpec]:
        """The kinds it stands for: `*` is each of its provider's."""
        named = self.content["kind"]
        return list(PROVIDERS[self.provider].kinds.values()) if named == "*" else [KINDS[named]]

    @property
    def expect(self) -> Mapping[str, Any]:
        expected: Mapping[str, Any] = self.content["expect"]
        return expected

    def read(self, kind: KindSpec) -> PollResult:
        body, words = self.content["body"], self.content.get("words", {})
        return read_answer(
            kind,
            job_id=self.content["job_id"],
            http_status=self.content["http_status"],
            headers=self.content["headers"],
            body=body.encode() if isinstance(body, str) else json.dumps(body).encode(),
            now_ms=NOW_MS,
            words=ExtraWords(
                done=frozenset(words.get("done", ())), failed=frozenset(words.get("failed", ()))
            ),
            superseded=frozenset(self.content.get("superseded", ())),
        )


def load() -> list[Recording]:
    return [
        Recording(provider=path.parent.name, name=path.stem, content=json.loads(path.read_text()))
        for path in sorted(HERE.glob("*/*.json"))
    ]


RECORDINGS = load()
CASES = [
    pytest.param(recording, kind, id=f"{recording.name}-{kind.name}")
    for recording in RECORDINGS
    for kind in recording.kinds
]


def facts_of(seen: Observation) -> dict[str, Any]:
    return {
        "status": seen.status,
        "ending": seen.ending and seen.ending.word,
        "outcome": seen.ending and seen.ending.outcome.value,
        "message": seen.ending and seen.ending.message,
        "progress": seen.progress,
        "review": seen.review,
        "unknown": list(seen.unknown),
        "idle": seen.idle,
        "scheduled_for_ms": seen.scheduled_for_ms,
        "interval_s": seen.timing.interval_s,
        "timeout_s": seen.timing.timeout_s,
        "parts": {part.id: part.ending and part.ending.word for part in seen.parts},
        "related": dict(seen.related),
        "id": seen.data["id"],
    }


def facts(result: PollResult) -> dict[str, Any]:
    found: dict[str, Any] = {"result": type(result).__name__}
    match result:
        case Observed(observation=observation):
            found |= facts_of(observation)
        case Throttled(until_ms=until_ms):
            found["wait_ms"] = until_ms - NOW_MS
        case UpstreamBusy(wait_s=wait_s):
            found["wait_s"] = wait_s
        case _:
            found["reason"] = getattr(result, "reason", None)
    return found


def find_gaps(kind: KindSpec, recordings: Iterable[Recording]) -> list[str]:
    """What a kind's recordings leave out: endings, progress words, waiting, readings that are no object."""
    own = [r.expect for r in recordings if kind.name in {k.name for k in r.kinds}]
    seen = [expect for expect in own if expect["result"] == "Observed"]
    endings = set(kind.ending_words) - CONCLUDED - {expect.get("ending") for expect in seen}
    progress = set(kind.progress_words) - {expect.get("progress") for expect in seen}
    results = {each.__name__ for each in get_args(PollResult)} - {expect["result"] for expect in own}
    queued = any(expect.get("ending", "") is None and expect.get("progress", "") is None for expect in seen)
    return [*sorted(endings), *sorted(progress), *sorted(results), *([] if queued else ["queued"])]


@pytest.mark.parametrize(("recording", "kind"), CASES)
def test_answer_means_what_its_file_says(recording: Recording, kind: KindSpec) -> None:
    """A recorded answer is read as its `expect` claims."""
    found = facts(recording.read(kind))
    assert {name: found.get(name) for name in recording.expect} == dict(recording.expect)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kind_has_an_answer_for_each_ending_and_error(kind: KindSpec) -> None:
    """No ending, progress word or error meaning of a kind is without a recorded answer."""
    assert find_gaps(kind, RECORDINGS) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_provider_has_an_answer_for_each_documented_status(provider: str) -> None:
    """Each documented error status is recorded, in JSON and where a proxy may answer as HTML too."""
    own = [r.content for r in RECORDINGS if r.provider == provider and r.content["kind"] == "*"]
    assert {content["http_status"] for content in own} >= {
        200,
        400,
        401,
        402,
        403,
        404,
        409,
        410,
        429,
        500,
        502,
        503,
    }
    html = {c["http_status"] for c in own if isinstance(c["body"], str) and c["body"].startswith("<")}
    assert html >= {200, 401, 403, 404, 502}


def test_gaps_are_found() -> None:
    """A new ending, or a kind whose provider has recorded nothing, does not slip through."""
    kind = KINDS["sync_job"]
    stranger = replace(kind, endings={**kind.endings, "paused": (Outcome.UNKNOWN, "It waits.")})
    assert find_gaps(stranger, RECORDINGS) == ["paused"]
    assert {"completed", "running", "JobNotFound", "Throttled", "queued"} <= set(find_gaps(kind, []))


def test_every_file_belongs_to_a_registered_kind() -> None:
    """A recording in a folder or of a kind that nobody registered is a forgotten line in the registry."""
    assert {r.provider for r in RECORDINGS} == set(PROVIDERS)
    assert {r.content["kind"] for r in RECORDINGS} == {*KINDS, "*"}

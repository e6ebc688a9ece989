"""Turn an upstream's answer into a `PollResult`, without I/O or a clock."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observation,
    Observed,
    Part,
    PollResult,
    UnexpectedAnswer,
    UpstreamBroken,
)
from bridge.providers.body import read_document
from bridge.providers.error_responses import has_error_shape, read_refusal, say_error
from bridge.providers.provider_spec import ProviderSpec, Standing
from bridge.providers.rate import read_folded_rate, read_rate
from bridge.providers.spec import NO_EXTRA_WORDS, ExtraWords, KindSpec, Lens
from bridge.providers.status_words import fold, read_id
from bridge.providers.text import name_type, show

__all__ = [
    "ending_event_type",
    "part_observation",
    "read_answer",
    "read_credential",
    "read_folded_rate",
    "read_network_failure",
    "read_object",
    "read_rate",
]

# `{"data": {"post": {...}}}` is the deepest wrapping that the two generations of the documents could add up to.
_MOST_ENVELOPES = 3


def read_answer(
    kind: KindSpec,
    *,
    job_id: str,
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
    words: ExtraWords = NO_EXTRA_WORDS,
    superseded: frozenset[str] = frozenset(),
    is_cut: bool = False,
) -> PollResult:
    """Return what an answer to the read of one job means; never raise, and never end a job on an unknown word.

    `body` is what the caller has read of it, which is not all if it `is_cut`. `superseded` are ids of items that a new
    run has replaced: they stay in `data`, but count for nothing.
    """
    document = read_document(body, is_cut=is_cut)
    if not 200 <= http_status < 300:
        return read_refusal(
            kind.errors, http_status=http_status, headers=headers, document=document, now_ms=now_ms
        )
    if document.trouble:
        return UpstreamBroken(reason=f"HTTP {http_status}: {document.trouble}")
    lens = Lens(now_ms=now_ms, words=words, superseded=superseded)
    result = read_object(kind, job_id=job_id, value=document.value, lens=lens)
    if document.shortened and isinstance(result, Observed):
        result = Observed(observation=replace(result.observation, shortened=True))
    return _read_cut(kind, result) if is_cut else result


def read_object(kind: KindSpec, *, job_id: str, value: Any, lens: Lens) -> PollResult:
    """Return the state of a job that a parsed object shows, in any envelope: a read's body, a list's row."""
    if not isinstance(value, dict):
        return UnexpectedAnswer(reason=f"answered {name_type(value)} where an object was expected")
    data = _unwrap(kind, value, job_id)
    given = _read_given(kind, data)
    if given is None and not _tells_state(kind, data):
        said = say_error(kind.errors, value) if has_error_shape(kind.errors, value) else None
        return UnexpectedAnswer(
            reason=show(f"answered no state: {said}" if said else "answered an object without a state")
        )
    if given is not None and not _is_same_id(given, job_id):
        return UnexpectedAnswer(reason=show(f"answered another object: {read_id(given) or name_type(given)}"))
    return Observed(observation=kind.observe(kind, _with_id(data, job_id), lens))


def _read_cut(kind: KindSpec, result: PollResult) -> PollResult:
    """Let only the object's own word end a job of which not all was read: parts that were cut off may still run."""
    if not isinstance(result, Observed) or not result.observation.status:
        return UpstreamBroken(reason="the answer is too large, and its beginning tells no state")
    seen = result.observation
    if kind.parts_field is None or fold(seen.status, loose=False) in (*kind.ends, *kind.settled_words):
        return result
    return Observed(observation=replace(seen, ending=None, claimed=None))


def read_network_failure(reason: str) -> UpstreamBroken:
    """Return the result of a read whose answer never came whole; `reason` says why, such as `timed out`."""
    return UpstreamBroken(reason=show(f"network: {reason}"))


def read_credential(
    provider: ProviderSpec, *, http_status: int, headers: Mapping[str, str], body: bytes, now_ms: int
) -> Standing:
    """Judge a credential by the answer to `provider.check_path`.

    Accepted: the object, the provider's own 404 (nothing has that id), 403 in JSON (a good key that may not read this
    kind) and 402 in JSON (a good key without money). Refused: 401, not in HTML. Anything else, 429 too: unclear.
    """
    answer = read_answer(
        provider.check_kind,
        job_id=provider.check_id,
        http_status=http_status,
        headers=headers,
        body=body,
        now_ms=now_ms,
    )
    match answer:
        case Observed() | JobNotFound() | KindForbidden():
            return Standing.ACCEPTED
        case KeyRefused():
            return Standing.REFUSED
        case UnexpectedAnswer() if http_status == 402 and has_error_shape(
            provider.check_kind.errors, read_document(body).value
        ):
            return Standing.ACCEPTED
        case _:
            return Standing.UNCLEAR


def ending_event_type(kind: KindSpec, word: str) -> str:
    """Return the event type of an ending, such as `generated_post.completed`.

    Raise ValueError for a word that this kind cannot end with.
    """
    if word not in kind.ending_words:
        raise ValueError(f"a {kind.name} does not end with {word!r}")
    return f"{kind.name}.{word}"


def part_observation(
    kind: KindSpec, part: Part, parent: Observation, *, lens: Lens | None = None
) -> Observation | None:
    """Return what a part of a post shows as a job of its own kind, None where it shows nothing.

    A row of a list may lack an item's `voice_conversion_status`: that is no statement about a conversion.
    """
    if kind.parent_field is None or kind.status_field not in part.data:
        return None
    seen = kind.observe(kind, _with_id(part.data, part.id), lens or Lens(now_ms=0))
    inherited = {k: v for k, v in parent.related.items() if k in kind.related_fields}
    parent_id = read_id(parent.data.get("id"))
    above = {kind.parent_field: parent_id} if parent_id else {}
    return replace(seen, related={**inherited, **seen.related, **above})


def _unwrap(kind: KindSpec, value: dict[str, Any], job_id: str) -> dict[str, Any]:
    found = value
    for _ in range(_MOST_ENVELOPES):
        inner = _inside(kind, found)
        # A bare object may hold a `post` or `data` of its own: an item its parent, a video its details.
        bare = _is_same_id(found.get("id"), job_id) or (
            _tells_state(kind, found) and not _tells_state(kind, inner)
        )
        if inner is None or bare:
            return found
        found = inner
    return found


def _inside(kind: KindSpec, value: dict[str, Any]) -> dict[str, Any] | None:
    first = None
    for name in kind.envelopes:
        inner = value.get(name)
        if isinstance(inner, dict):
            if _tells_state(kind, inner):
                return inner
            first = inner if first is None else first
    return first


def _tells_state(kind: KindSpec, value: dict[str, Any] | None) -> bool:
    return value is not None and (
        "status" in value or kind.status_field in value or kind.parts_field in value
    )


def _read_given(kind: KindSpec, data: dict[str, Any]) -> object:
    """Return what an object names as its id, None where it names none."""
    for name in kind.id_fields:
        given = data.get(name)
        if given is not None and given != "":
            return given
    return None


def _is_same_id(given: object, job_id: str) -> bool:
    known = read_id(given)
    return known is not None and (known == job_id or known.casefold() == job_id.casefold())


def _with_id(data: Mapping[str, Any], job_id: str) -> Mapping[str, Any]:
    return data if data.get("id") not in (None, "") else {**data, "id": job_id}

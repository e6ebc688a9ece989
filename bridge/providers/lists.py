"""Read a list call's answer: rows that show many jobs at once, each perhaps with less than its own read would.

ReelMirror documents of a row only `id`, `status`, `review_status` and its items' `status` (Review queue guide).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from bridge.domain.observation import Observation, Observed, Outcome, PollResult, UnexpectedAnswer
from bridge.providers.body import read_document
from bridge.providers.error_responses import read_refusal
from bridge.providers.read import read_network_failure, read_object
from bridge.providers.spec import ErrorShape, KindSpec, Lens
from bridge.providers.status_words import read_id

_MOST_ROWS = 1_000  # a list that ignores its limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A page's rows as (id, object), in the list's order; `count` as the upstream says it, 0 when it does not."""

    rows: tuple[tuple[str, Mapping[str, Any]], ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSeen:
    """What a row shows of its job.

    `names_parts`: every item or delivery in it has its id, so that what became of each can be told. `hides_parts`: it
    shows none, which need not mean that there are none. `is_whole`: an ending in it may go out as it is, because
    nothing that a read of the job itself would add is missing.
    """

    observation: Observation
    names_parts: bool
    hides_parts: bool
    is_whole: bool


def read_list(
    kind: KindSpec, *, http_status: int, headers: Mapping[str, str], body: bytes, now_ms: int
) -> Rows | PollResult:
    """Return the rows of an answer to a list call; for a refusal, what a read of a single job would return."""
    found = read_rows(kind.errors, http_status=http_status, headers=headers, body=body, now_ms=now_ms)
    if isinstance(found, Rows) and not all(_tells(kind, row) for _, row in found.rows):
        return UnexpectedAnswer(reason="answered rows that tell no state")
    return found


def read_rows(
    errors: ErrorShape, *, http_status: int, headers: Mapping[str, str], body: bytes, now_ms: int
) -> Rows | PollResult:
    """Return the rows of an answer to a list call, whatever they hold beside an id."""
    document = read_document(body)
    if not 200 <= http_status < 300:
        return read_refusal(
            errors, http_status=http_status, headers=headers, document=document, now_ms=now_ms
        )
    if document.trouble:
        return read_network_failure(document.trouble)
    value = document.value
    listed = value.get("data") if isinstance(value, dict) else value
    if not isinstance(listed, list) or len(listed) > _MOST_ROWS:
        return UnexpectedAnswer(reason="answered no list")
    rows = [(read_id(row.get("id")), row) for row in listed if isinstance(row, dict)]
    if any(identifier is None for identifier, _ in rows):
        return UnexpectedAnswer(reason="answered rows that tell no state")
    count = value.get("count") if isinstance(value, dict) else None
    return Rows(
        rows=tuple((identifier, row) for identifier, row in rows if identifier is not None),
        count=count if isinstance(count, int) and 0 <= count < 10**9 else 0,
    )


def read_row(kind: KindSpec, job_id: str, row: Mapping[str, Any], lens: Lens) -> RowSeen | None:
    """Return the state of its job that a row shows, None where it shows none."""
    result = read_object(kind, job_id=job_id, value=dict(row), lens=lens)
    if not isinstance(result, Observed):
        return None
    seen = result.observation
    listed = (row.get(kind.parts_field) or ()) if kind.parts_field else ()
    names_parts = all(isinstance(part, dict) and read_id(part.get("id")) is not None for part in listed)
    hides_parts = kind.parts_field is not None and not listed
    is_whole = names_parts and not (hides_parts and seen.status in kind.ends) and _shows_results(kind, seen)
    if not is_whole or hides_parts:  # what claims to have failed may be more than the row shows
        seen = replace(seen, claimed=None)
    return RowSeen(observation=seen, names_parts=names_parts, hides_parts=hides_parts, is_whole=is_whole)


def _tells(kind: KindSpec, row: Mapping[str, Any]) -> bool:
    return kind.status_field in row and (
        kind.parts_field is None or isinstance(row.get(kind.parts_field), list)
    )


def _shows_results(kind: KindSpec, seen: Observation) -> bool:
    """Return whether every finished item has its URL, and a failure its reason's field."""
    if kind.part is not None:
        made = [part for part in seen.parts if part.ending and part.ending.outcome is Outcome.SUCCEEDED]
        return kind.part.media_field is None or all(part.data.get("url") for part in made)
    failed = seen.ending is not None and seen.ending.outcome is Outcome.FAILED
    return not failed or any(name in seen.data for name in kind.error_fields)

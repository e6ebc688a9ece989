"""Events as values: a fact about a job, the JSON that is stored of it, and what its error and summary say."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from bridge.domain.counts import choose_form
from bridge.domain.events.catalogue import Catalogue, event_type
from bridge.domain.events.payloads import PAYLOADS, build_body, read_event_job
from bridge.domain.js_json import plain_to_js_json, to_js_json
from bridge.domain.observation import Outcome, Part
from bridge.domain.times import iso_ms

__all__ = [
    "PAYLOADS",
    "Fact",
    "build_body",
    "build_error",
    "build_event",
    "build_summary",
    "read_event_job",
]

SCHEMA = 1
DATA_BYTES = 256 * 1024  # larger `data` is cut to its status fields
MAX_LISTED = 500  # items named in an error or left of a cut list
MAX_TEXT_CHARS = 500  # characters of a text left in cut data


class Fact(Struct, frozen=True, kw_only=True, gc=False):
    """What became known about a job: `word` is the event's last word, `run` the job's life that it belongs to.

    `data` is the upstream's object, unwrapped, with `id`; `late` says that it came after this run's `.timed_out`. With
    `gone` the answer showed no object any more, and `data` is to be what the object was before.
    """

    word: str
    kind: str
    job_id: str
    status: str
    outcome: Outcome | None
    error: dict[str, Any] | None
    summary: dict[str, Any] | None
    related: Mapping[str, str]
    data: Mapping[str, Any]
    run: int
    late: bool
    shortened: bool = False
    gone: bool = False


def build_event(
    catalogue: Catalogue,
    fact: Fact,
    *,
    event_id: str,
    at_ms: int,
    sequence: int,
    polls: int,
    lag_max_ms: int | None,
    source: str = "",
) -> bytes:
    """Write the event as it is stored: without metadata and subscription, its parts as JavaScript writes them.

    `source` is "list" where `data` is a list's row, which may show less than the job's own read, and "last_seen" where
    it is older than the event.
    """
    data, truncated = _fit(catalogue, fact.data)
    stamp = iso_ms(at_ms)
    bridge: dict[str, Any] = {
        "schema": SCHEMA,
        "observed_at": stamp,
        "polls": polls,
        "detection_lag_max_ms": lag_max_ms,
        "late": fact.late,
    }
    if source:
        bridge["data_source"] = source
    if truncated or fact.shortened:
        bridge["truncated"] = True
    head = plain_to_js_json(
        {
            "id": event_id,
            "type": event_type(fact.kind, fact.word),
            "timestamp": stamp,
            "object": fact.kind,
            "job_id": fact.job_id,
            "status": fact.status or None,
            "outcome": fact.outcome.value if fact.outcome else None,
            "error": fact.error,
            "summary": fact.summary,
            "related": dict(fact.related),
            "run": fact.run,
            "sequence": sequence,
        }
    )
    return b"%b,%b:%b,%b:%b}" % (head[:-1], b'"data"', data, b'"bridge"', plain_to_js_json(bridge))


def build_error(
    word: str,
    ending_message: str | None,
    *,
    outcome: Outcome | None = None,
    parts: Sequence[Part] = (),
    unauthorized: bool = False,
) -> dict[str, Any] | None:
    """Return what went wrong, None when nothing did.

    A word of the bridge's own says it by itself; behind any other, which is the provider's, `outcome` does.
    `retryable` says that starting the same work again may help; it is false where the job may still end by itself.
    `items` names the failed parts, at most 500.
    """
    if unauthorized or word == "unauthorized":
        return _error(
            "unauthorized",
            "the provider refuses the account's key: replace it and watching goes on by itself",
        )
    if word == "not_found":
        return _error("not_found", "the provider does not know this id")
    if word == "deleted":
        return _error("deleted", "the provider had this job and has it no more")
    if word == "timed_out":
        return _error("watch_timeout", "no ending was seen in time; the job has not failed and may still end")
    if outcome not in (Outcome.FAILED, Outcome.PARTIAL):
        return None
    failed = [part.id for part in parts if part.ending and part.ending.outcome is Outcome.FAILED]
    if not failed:
        return _error(
            "upstream_failed",
            ending_message or "the provider reports a failure, without a reason",
            retryable=True,
        )
    counted = f"{len(failed)} of {len(parts)} {choose_form(len(parts), 'item')} failed"
    return _error("items_failed", ending_message or counted, retryable=True, items=failed[:MAX_LISTED])


def build_summary(parts: Sequence[Part]) -> dict[str, Any] | None:
    """Count a job's parts, None for a job that shows none."""
    if not parts:
        return None
    outcomes = [part.ending.outcome for part in parts if part.ending]
    return {
        "total": len(parts),
        "completed": outcomes.count(Outcome.SUCCEEDED),
        "failed": outcomes.count(Outcome.FAILED),
    }


def _error(code: str, message: str, *, retryable: bool = False, items: Sequence[str] = ()) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, "items": list(items)}


def _fit(catalogue: Catalogue, data: Mapping[str, Any]) -> tuple[bytes, bool]:
    whole = to_js_json(dict(data))
    if len(whole) <= DATA_BYTES:
        return whole, False
    bare = _cut(data, catalogue.state_fields)
    parts = {
        name: [
            _cut(part, catalogue.state_fields) for part in listed[:MAX_LISTED] if isinstance(part, Mapping)
        ]
        for name in catalogue.part_lists
        if isinstance(listed := data.get(name), list)
    }
    written = to_js_json({**bare, **parts})
    return (written, True) if len(written) <= DATA_BYTES else (to_js_json(bare), True)


def _cut(data: Mapping[str, Any], kept: Collection[str]) -> dict[str, Any]:
    """Keep only what shows the state: the id, the words and the reasons, each short."""
    return {name: _shorten(value) for name, value in data.items() if name in kept and _is_scalar(value)}


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _shorten(value: Any) -> Any:
    return value[:MAX_TEXT_CHARS] if isinstance(value, str) else value

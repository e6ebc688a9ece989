"""The jobs of a group or a chain as its closing event lists them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bridge.domain.events.event import DATA_BYTES
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Outcome
from bridge.services.context import Services
from bridge.services.queries import load_events

Row = dict[str, Any]
SHOWN = ("status", "outcome", "error", "summary", "related", "run", "data")


def show_job(kind: str, identifier: str, event: EventRecord | None) -> Row:
    """Return a job as its event shows it; without one its end is unknown."""
    row: Row = {"kind": kind, "id": identifier, "job_id": identifier}
    if event is None:
        nothing: Row = {"status": None, "outcome": str(Outcome.UNKNOWN), "error": None, "summary": None}
        return {
            **row,
            "event_id": "",
            "type": "",
            **nothing,
            "related": {},
            "run": 1,
            "data": {"id": identifier},
        }
    body = json.loads(event.body)
    return {**row, "event_id": event.id, "type": event.type, **{name: body[name] for name in SHOWN}}


def fit_rows(data: Mapping[str, Any], rows: Sequence[Row]) -> tuple[Row, bool]:
    """Return `data` with its rows as `jobs`, and whether these had to be shortened to fit into an event."""
    whole = {**data, "jobs": list(rows)}
    if len(to_js_json(whole)) <= DATA_BYTES:
        return whole, False
    short = [{**row, "data": {"id": row["id"]}, "summary": None, "related": {}} for row in rows]
    return {**data, "jobs": short}, True


async def load_by_id(services: Services, ids: Iterable[str]) -> dict[str, EventRecord]:
    """Return events by their ids; those that are gone are left out."""
    wanted = [each for each in dict.fromkeys(ids) if each]
    return {each.id: each for each in await load_events(services.store, wanted)} if wanted else {}


def date_turn(at: PollContext, events: Iterable[EventRecord]) -> PollContext:
    """Return the circumstances of a turn: what it shows is as old as the newest of the events that led to it."""
    newest = max(events, key=lambda each: each.at_ms, default=None)
    if newest is None:
        return at
    lag_ms = json.loads(newest.body)["bridge"]["detection_lag_max_ms"] or 0
    return replace(at, lag_max_ms=max(0, at.now_ms - newest.at_ms) + lag_ms)

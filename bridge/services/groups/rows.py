"""The jobs of a group or a chain as its closing event lists them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bridge.domain.events.event import DATA_BYTES
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import Job, Member
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Outcome
from bridge.services.context import Services
from bridge.services.queries import load_events, load_jobs

Row = dict[str, Any]
WORDS = 60  # characters of an error that stay where the whole does not fit
SHOWN = ("status", "outcome", "error", "summary", "related", "run", "data")


async def load_members(
    services: Services, shard: str, account: str, members: Sequence[Member]
) -> dict[tuple[str, str], Job]:
    """Load the records of some members, by kind and id; those that are gone are missing."""
    keys = {job_key(shard, account, each.kind, each.id): (each.kind, each.id) for each in members}
    loaded = await load_jobs(services.store, list(keys)) if keys else {}
    return {place: loaded[key].record for key, place in keys.items() if key in loaded}


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
    """Return `data` with its rows as `jobs`, and whether these had to be shortened to fit into an event.

    What is left out, as far as it takes: the jobs' objects, then the words of their errors, then their errors. All of it
    is in the jobs' own events. Every row keeps its outcome and the id of that event.
    """
    whole: Row = {**data, "jobs": list(rows)}
    for shorten in (_leave_object_out, _shorten_error, _leave_error_out):
        if len(to_js_json(whole)) <= DATA_BYTES:
            break
        whole["jobs"] = [shorten(row) for row in whole["jobs"]]
    return whole, whole["jobs"] != list(rows)


def _leave_object_out(row: Row) -> Row:
    return {**row, "data": {"id": row["id"]}, "summary": None, "related": {}}


def _shorten_error(row: Row) -> Row:
    error = row["error"]
    if error is None:
        return row
    return {**row, "error": {**error, "message": error["message"][:WORDS], "items": []}}


def _leave_error_out(row: Row) -> Row:
    return {**row, "error": None}


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

"""Job: its life as a picture and a list, what comes next, and its events and deliveries."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.api.responses.timeline import view_timeline
from bridge.dashboard.life import Mark, draw_life
from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.views.rows import plan_progress, show_deliveries
from bridge.dashboard.words import name_event, name_job
from bridge.domain.deliveries.records import OPEN
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import job_key
from bridge.domain.jobs.poll_history import KEPT, read_poll_history
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.jobs.watches import GROUPS
from bridge.errors import NotFound
from bridge.providers.registry import KINDS
from bridge.services.deliveries.browse import DeliveryRow
from bridge.services.deliveries.lists import next_attempts_ms
from bridge.services.deliveries.waits import find_waits
from bridge.services.jobs.last_seen import get_job
from bridge.services.polling.watched import estimate_jobs
from bridge.services.subscriptions import callbacks
from bridge.services.subscriptions.callbacks import CallbackHistory
from bridge.services.subscriptions.lookup import list_job_callbacks
from bridge.services.subscriptions.sealing import show_url

MOST_CALLBACKS = 5  # whose history one page tells, the newest ones
OBJECT_CHARS = 20_000
RED = ("404", "401", "403", "429", "503", "outage", "odd")


async def read_job(visit: Visit) -> View:
    """Read the page of a job; one that is not watched gets the form that registers it."""
    services, kind, job_id = visit.services, visit.path["kind"], visit.path["id"]
    if kind not in KINDS and kind not in GROUPS:
        raise NotFound(f"there is no kind of job {kind[:40]}")
    try:
        job, log, data = await get_job(services, visit.project, kind, job_id)
    except NotFound:
        unwatched = {"kind": kind, "job_id": job_id}
        return View(title=f"{kind} {job_id}", template="unwatched.html", values=unwatched, status=404)
    ids = await list_job_callbacks(services.store, visit.project, kind, job_id)
    told = [await _tell(visit, each) for each in ids[-MOST_CALLBACKS:][::-1]]
    rows = {row.delivery.id: row for each in told for row in each["rows"]}
    marks = {*_mark_polls(log), *(mark for each in told for mark in each["marks"])}
    values = {
        **await _show_state(visit, job, log),
        **_show_object(data),
        "told": told,
        "more": max(len(ids) - MOST_CALLBACKS, 0),
        "next": _merge([each["line"]["next"] for each in told])[::-1],
        "entries": _merge([each["line"]["entries"] for each in told]),
        "picture": draw_life(sorted(marks, key=lambda mark: mark.at_ms)),
        "deliveries": await show_deliveries(visit, list(rows.values())),
        "retry": next((each for each in rows.values() if each.delivery.state in OPEN), None),
        "events": _list_events(told),
        "reasons": {each: _say_why(row) for each, row in rows.items() if row.delivery.attempts},
        "live_callbacks": [each for each in told if each["state"] in ("watching", "paused")],
    }
    return View(title=f"{kind} {job_id}", template="job.html", values=values)


async def _show_state(visit: Visit, job: Job, log: PollLog) -> dict[str, Any]:
    now_ms = visit.services.clock_ms()
    key = job_key(visit.services.store.shard_of(job.account), job.account, job.kind, job.id)
    expected = (await estimate_jobs(visit.services, [(key, job, log)]))[0]
    progress = plan_progress(job, expected)
    is_overdue = progress is not None and progress.is_overdue(now_ms)
    return {
        "job": job,
        "log": log,
        "now_ms": now_ms,
        "badge": name_job(job, is_overdue=is_overdue),
        "progress": progress,
        "expected": expected,
        "earlier": max(log.polls - KEPT, 0),
        "is_watched": job.state is not JobState.ENDED,
    }


def _show_object(data: dict[str, Any] | None) -> dict[str, Any]:
    text = "" if data is None else json.dumps(data, indent=2, ensure_ascii=False)
    return {"data": text[:OBJECT_CHARS], "is_cut": len(text) > OBJECT_CHARS}


def _say_why(row: DeliveryRow) -> str:
    """Return what came of the last attempt of a delivery that goes on."""
    return row.delivery.attempts[-1].reason if row.delivery.state in OPEN else ""


def _list_events(told: Sequence[dict[str, Any]]) -> list[EventRecord]:
    found = {event.id: event for each in told for event in each["events"]}
    return sorted(found.values(), key=lambda event: event.at_ms)


async def _tell(visit: Visit, callback_id: str) -> dict[str, Any]:
    """Return one callback's history."""
    services = visit.services
    history = await callbacks.history(services, visit.project, callback_id)
    dues = await next_attempts_ms(services, history.deliveries)
    waits = await find_waits(services, history.deliveries, dues)
    state = callbacks.view_state(history.found)
    url = show_url(services.store.vault, history.found.callback)
    return {
        "id": callback_id,
        "state": str(state),
        "url": url,
        "line": view_timeline(history, url=url, state=state, dues=dues, waits=waits),
        "rows": [DeliveryRow(delivery=each, due_ms=dues[each.id]) for each in history.deliveries],
        "events": history.events,
        "marks": _mark(history, dues, services.clock_ms()),
    }


def _mark_polls(log: PollLog) -> list[Mark]:
    return [
        Mark(
            at_ms=each.at_ms,
            row="polls",
            kind="warn" if each.word in RED else "run",
            text=f"poll: {each.word or 'no status'}",
        )
        for each in read_poll_history(log)
    ]


def _mark(history: CallbackHistory, dues: Mapping[str, int | None], now_ms: int) -> list[Mark]:
    marks = [
        Mark(at_ms=each.at_ms, row="events", kind=name_event(each.type)[0], text=each.type)
        for each in history.events
    ]
    for delivery in history.deliveries:
        for attempt in delivery.attempts:
            good = attempt.status is not None and 200 <= attempt.status < 300
            marks.append(
                Mark(
                    at_ms=attempt.at_ms,
                    row="attempts",
                    kind="good" if good else "bad",
                    text=f"attempt: {attempt.status or attempt.failure}",
                )
            )
        due_ms = dues.get(delivery.id)
        if due_ms and due_ms > now_ms:
            marks.append(Mark(at_ms=due_ms, row="attempts", kind="wait", text="next attempt", ahead=True))
    return marks


def _merge(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the entries of several histories of one job, each once, newest first."""
    seen: dict[tuple[str, str], Any] = {}
    for entries in lists:
        for entry in entries:
            seen.setdefault((entry["at"], entry["text"]), entry)
    return sorted(seen.values(), key=lambda entry: entry["at"], reverse=True)


PAGES = (DashboardPage(path="/jobs/{kind}/{id}", read=read_job),)

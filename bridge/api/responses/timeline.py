"""A callback's history in words: polls, events, attempts, and what comes next. No I/O."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from bridge.api.responses.models import TimelineEntry, TimelineShape
from bridge.api.responses.next_attempts import describe_next_attempt, name_place
from bridge.domain.counts import say_count
from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.deliveries.records import Attempt, Delivery, DeliveryState
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.poll_history import KEPT, PastPoll, read_poll_history
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.watches import CHAIN, GROUP, is_watch
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.domain.times import iso_ms
from bridge.services.deliveries.waits import Wait
from bridge.services.subscriptions.callbacks import CallbackHistory

WAITS_MS = 1_000  # a poll that comes later than due by more than this gets an explanation

CLOSED = {
    CallbackState.ENDED: "The callback closed: its ending event is out, nothing follows.",
    CallbackState.TIMED_OUT: "The callback closed: no ending was seen in time, and it was told so.",
    CallbackState.CANCELLED: "The callback was cancelled; nothing more is sent.",
}
MAY_END_LATE = (
    " The job is read on for 24 hours, and its real ending, if it comes, follows as one more event."
)


def view_timeline(
    history: CallbackHistory,
    *,
    url: str,
    state: CallbackState,
    dues: Mapping[str, int | None],
    waits: Mapping[str, Wait],
) -> TimelineShape:
    """Return the history; `url` is what may be shown of the URL, `dues` and `waits` are those of its deliveries, see `next_attempts_ms` and `find_waits`."""
    found = history.found
    log = found.log
    entries = [
        _registered(found.job, found.callback, url),
        *(_poll(mark, found.job) for mark in read_poll_history(log)),
        *(_event(event) for event in history.events),
        *_attempts(history.deliveries),
        *_stopped(history.deliveries),
        *_closed(found.callback),
    ]
    entries.sort(key=lambda entry: entry["at"])
    return {
        "id": found.callback.id,
        "object": "timeline",
        "state": cast("Any", str(state)),
        "polls": log.polls,
        "earlier_polls": max(0, log.polls - KEPT),
        "entries": entries,
        "next": _next(history, state, dues, waits),
    }


def _entry(at_ms: int, what: str, text: str, identifier: str | None = None) -> TimelineEntry:
    entry: TimelineEntry = {"at": iso_ms(at_ms), "what": cast("Any", what), "text": text}
    return {**entry, "id": identifier} if identifier else entry


def _registered(job: Job, callback: Callback, url: str) -> TimelineEntry:
    if is_watch(callback.origin):
        goes = "nothing is sent, since a request waits for its end"
    elif callback.origin == INBOX:
        goes = "what comes is kept in the inbox (GET /v1/inbox)"
    else:
        goes = f"events go to {url}"
    of = f"{job.kind} {job.id}"
    if job.kind == GROUP:
        of = say_count(len(job.members), "job", "jobs together")
    elif job.kind == CHAIN:
        of = f"{job.members[0].kind} {job.members[0].id} and what comes of it"
    text = f"Registered for {of}; {goes}."
    return _entry(callback.created_ms, "registered", text, callback.id)


def _poll(mark: PastPoll, job: Job) -> TimelineEntry:
    if job.members:
        return _entry(mark.at_ms, "poll", f"Looked at the jobs: {mark.word}.")
    note = f" ({mark.note})" if mark.note else ""
    return _entry(
        mark.at_ms, "poll", f"Read the job: {mark.word or 'no status'}{note}, in {mark.took_ms} ms."
    )


def _event(event: EventRecord) -> TimelineEntry:
    return _entry(event.at_ms, "event", f"Event {event.type}.", event.id)


def _attempts(deliveries: Iterable[Delivery]) -> Iterable[TimelineEntry]:
    for delivery in deliveries:
        first = delivery.tries - len(delivery.attempts) + 1
        for number, attempt in enumerate(delivery.attempts, first):
            outcome = (
                f"status {attempt.status}" if attempt.status is not None else f"no answer ({attempt.failure})"
            )
            text = f"Attempt {number} to {_went_to(delivery, attempt)}: {outcome} after {attempt.duration_ms} ms. {attempt.reason}"
            yield _entry(attempt.at_ms, "attempt", text, delivery.id)


def _stopped(deliveries: Iterable[Delivery]) -> Iterable[TimelineEntry]:
    for delivery in deliveries:
        if delivery.state is DeliveryState.CANCELLED and delivery.reason:
            text = f"Stopped on purpose: {delivery.reason}. Nothing more is sent."
            yield _entry(delivery.done_ms or delivery.created_ms, "closed", text, delivery.id)


def _went_to(delivery: Delivery, attempt: Attempt) -> str:
    return (
        f"{name_place(attempt.lane)} (the URL before a change)" if attempt.lane else name_place(delivery.lane)
    )


def _closed(callback: Callback) -> Iterable[TimelineEntry]:
    if callback.closed_ms and callback.state in CLOSED:
        late = callback.state is CallbackState.TIMED_OUT and callback.late
        text = CLOSED[callback.state] + (MAY_END_LATE if late else "")
        yield _entry(callback.closed_ms, "closed", text, callback.id)


def _next(
    history: CallbackHistory,
    state: CallbackState,
    dues: Mapping[str, int | None],
    waits: Mapping[str, Wait],
) -> list[TimelineEntry]:
    found = history.found
    due_ms = found.due_ms
    coming: list[TimelineEntry] = []
    if state is CallbackState.PAUSED:
        since = found.health.outage_ms or found.health.forbidden.get(found.job.kind, 0)
        text = (
            "Paused: the provider refuses the account's key; watching goes on by itself once it is accepted."
        )
        coming.append(_entry(since, "next", text))
    reads_on = state is CallbackState.TIMED_OUT and found.callback.late
    if due_ms is not None and (reads_on or state in (CallbackState.WATCHING, CallbackState.PAUSED)):
        coming.append(_entry(abs(due_ms), "next", _describe_next_poll(history, due_ms)))
    if state is CallbackState.WATCHING and found.callback.expires_ms:
        coming.append(_entry(found.callback.expires_ms, "next", "The callback expires."))
    for delivery in history.deliveries:
        coming += _coming_attempt(delivery, dues.get(delivery.id), waits.get(delivery.id))
    return sorted(coming, key=lambda entry: entry["at"])


def _describe_next_poll(history: CallbackHistory, due_ms: int) -> str:
    """Describe when the job is polled next, and why that is later than its interval."""
    if history.found.job.members:
        return "The jobs are looked at again, if none of them ends before."
    if due_ms < 0:
        return "The job is being read now."
    found, budget = history.found, history.budget
    was_due_ms = found.log.due_ms or found.job.born_ms
    if budget is None or due_ms - was_due_ms < WAITS_MS:
        return "The job is read again."
    if budget.quiet_ms:
        why = f"the provider's rate limit was reached; nothing is asked before {iso_ms(budget.quiet_ms)}"
    else:
        every = f"{say_count(budget.limit, 'request')} in {budget.window_ms / 1000:g} s"
        watched = f"{say_count(history.watched, 'job')} watched"
        why = f"it waits for its turn in the account's rate limit ({every}, {watched})"
    return f"The job is read again at the latest then: it was due at {iso_ms(was_due_ms)}, but {why}."


def _coming_attempt(delivery: Delivery, due_ms: int | None, wait: Wait | None) -> Iterable[TimelineEntry]:
    if delivery.state is DeliveryState.PARKED:
        text = f"Parked ({delivery.reason or 'all attempts failed'}): POST /v1/deliveries/{delivery.id}/retry sends it again."
        yield _entry(delivery.done_ms or delivery.created_ms, "next", text, delivery.id)
    elif delivery.state is DeliveryState.CANCELLED and due_ms is not None:
        text = "An attempt is in flight that began before it was cancelled; its answer will be on record, and nothing follows."
        yield _entry(abs(due_ms), "next", text, delivery.id)
    elif delivery.state is DeliveryState.PENDING and due_ms is not None:
        yield _entry(abs(due_ms), "next", describe_next_attempt(delivery, due_ms, wait), delivery.id)

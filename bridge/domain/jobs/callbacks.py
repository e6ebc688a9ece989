"""The callbacks in a job's record: code outside `domain/jobs` reads and changes them only by these functions."""

from collections.abc import Callable

from msgspec.structs import replace

from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.records import Job
from bridge.domain.subscriptions.callback import Callback, CallbackState


def find_callback(job: Job, identifier: str) -> Callback | None:
    """Return the callback with this id, None when the job does not keep it (any more)."""
    return next((each for each in job.callbacks if each.id == identifier), None)


def callbacks_by_id(job: Job) -> dict[str, Callback]:
    """Return all callbacks that the job keeps, by id."""
    return {each.id: each for each in job.callbacks}


def list_live_callbacks(job: Job) -> list[Callback]:
    """Return the callbacks that still wait for events."""
    return [each for each in job.callbacks if is_live(each)]


def list_dropped_callbacks(before: Job, after: Job) -> list[Callback]:
    """Return the callbacks that a change drops from the record."""
    kept = {each.id for each in after.callbacks}
    return [each for each in before.callbacks if each.id not in kept]


def change_callbacks(job: Job, change: Callable[[Callback], Callback]) -> Job:
    """Return the job with each of its callbacks changed."""
    return replace(job, callbacks=tuple(change(each) for each in job.callbacks))


def replace_callback(job: Job, changed: Callback) -> Job:
    """Return the job with one callback replaced, found by its id."""
    return change_callbacks(job, lambda each: changed if each.id == changed.id else each)


def cancel_callback(job: Job, callback: Callback, *, now_ms: int) -> Job:
    """Return the job with one callback cancelled: it gets no event any more."""
    return replace_callback(job, replace(callback, state=CallbackState.CANCELLED, closed_ms=now_ms))

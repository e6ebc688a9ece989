"""The callbacks in a job's record: code outside `domain/jobs` reads and changes them only by these functions."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import msgpack
from msgspec.structs import replace

from bridge.domain.jobs.deadlines import awaits_late_ending, is_live
from bridge.domain.jobs.records import Job
from bridge.domain.subscriptions.callback import Callback, CallbackState

# A hundred callbacks whose URL, headers and metadata are about as large as they may be.
CALLBACK_BYTES_PER_JOB = 2 << 20
_ENCODER = msgpack.Encoder()


class CallbacksTooLarge(ValueError):
    """The callbacks of a job would together be larger than they may be."""


def find_callback(job: Job, identifier: str) -> Callback | None:
    """Return the callback with this id, None when the job does not keep it (any more)."""
    for each in job.callbacks:
        if each.id == identifier:
            return each
    return None


def callbacks_by_id(job: Job) -> dict[str, Callback]:
    """Return all callbacks that the job keeps, by id."""
    return {each.id: each for each in job.callbacks}


def list_live_callbacks(job: Job) -> list[Callback]:
    """Return the callbacks that still wait for events."""
    return [each for each in job.callbacks if is_live(each)]


def list_closed_callbacks(job: Job) -> list[Callback]:
    """Return the callbacks that no longer wait for events, oldest first."""
    return [each for each in job.callbacks if not is_live(each)]


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


def measure(callbacks: Iterable[Callback]) -> int:
    """Return how many bytes callbacks take in a job's record."""
    return sum(len(_ENCODER.encode(each)) for each in callbacks)


def keep_newest(callbacks: Sequence[Callback], *, count: int, size: int) -> list[Callback]:
    """Return the last of some callbacks, in order: at most `count`, and of at most `size` bytes together."""
    kept: list[Callback] = []
    for callback in reversed(callbacks):
        size -= measure((callback,))
        if len(kept) >= count or size < 0:
            break
        kept.append(callback)
    return kept[::-1]


def check_size(before: Job, after: Job, *, now_ms: int) -> None:
    """Raise `CallbacksTooLarge` if a change makes the callbacks that still get events larger than they may be.

    Every poll and every attempt reads the whole record, so its size is what each of them costs.
    """
    size = measure(_list_due(after, now_ms))
    if size > CALLBACK_BYTES_PER_JOB and size > measure(_list_due(before, now_ms)):
        raise CallbacksTooLarge


def _list_due(job: Job, now_ms: int) -> list[Callback]:
    return [each for each in job.callbacks if is_live(each) or awaits_late_ending(each, now_ms=now_ms)]

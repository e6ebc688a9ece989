"""Watch timeouts: when a callback may be sent `.timed_out`.

A documented timeout is per item and counts from the job's clock, which restarts when an item ends. A client's own
`timeout_seconds` counts from the registration, and in a later run from that run's start. The clock of an outgoing post
that has not begun does not run; it is watched for 30 days.
"""

from bridge.domain.jobs.intervals import IDLE_LASTS_S, TAIL_INTERVAL_S, TAIL_LASTS_S, TimeScale
from bridge.domain.jobs.records import Job
from bridge.domain.subscriptions.callback import Callback, CallbackState

TAIL_LASTS_MS = round(TAIL_LASTS_S * 1000)
LAST_READ_MS = round(TAIL_INTERVAL_S * 1000)  # the tail's last read begins at most so long after its end


def deadline_ms(job: Job, callback: Callback, *, timeout_s: float, scale: TimeScale) -> int:
    """Return the time from which on a read that shows no ending means `.timed_out` for this callback."""
    if callback.timeout_s is not None:
        later_run = callback.notified_run or callback.timed_out_run
        start_ms = max(callback.created_ms, job.run_ms) if later_run else callback.created_ms
        return start_ms + round(callback.timeout_s * 1000)
    if job.clock_ms == 0:
        return callback.created_ms + round(IDLE_LASTS_S * 1000)
    return max(job.clock_ms, callback.created_ms) + scale.ms(timeout_s)


def is_live(callback: Callback) -> bool:
    """Return whether a callback still waits for events."""
    return callback.state is CallbackState.WATCHING


def awaits_late_ending(callback: Callback, *, now_ms: int) -> bool:
    """Return whether the job must still be read for a callback that `.timed_out` has closed.

    That event said that the answer is unknown, so the ending follows where it comes within 24 hours.
    """
    return _may_end_late(callback) and now_ms < callback.closed_ms + TAIL_LASTS_MS


def takes_late_ending(callback: Callback, *, now_ms: int) -> bool:
    """Return whether an ending that was read now still goes to a callback that `.timed_out` has closed."""
    return _may_end_late(callback) and now_ms < callback.closed_ms + TAIL_LASTS_MS + LAST_READ_MS


def _may_end_late(callback: Callback) -> bool:
    return callback.state is CallbackState.TIMED_OUT and callback.once and callback.late


def awaited_run(job: Job, callback: Callback) -> int:
    """Return the run whose ending a callback waits for or was notified of."""
    return max(job.run, callback.from_run)


def has_deadline_ahead(job: Job, callback: Callback) -> bool:
    """Return whether a live callback has still to be notified of its run's ending or time-out."""
    if not is_live(callback):
        return False
    run = awaited_run(job, callback)
    return callback.notified_run < run and callback.timed_out_run < run


def is_overdue(job: Job, callback: Callback, *, begun_ms: int, timeout_s: float, scale: TimeScale) -> bool:
    """Return whether a read begun at `begun_ms` that shows no ending means `.timed_out` for this callback."""
    waits = has_deadline_ahead(job, callback)
    return waits and begun_ms >= deadline_ms(job, callback, timeout_s=timeout_s, scale=scale)

"""A job's runs: a regenerated post keeps its id, and the `completed` of its old run must not count again.

A full regeneration keeps the post's id and makes new items; a retry of the failed ones gives each of these a new id; a
single item may keep its id.
"""

from collections.abc import Collection

from msgspec.structs import replace

from bridge.domain.jobs.deadlines import has_deadline_ahead
from bridge.domain.jobs.emitted import keep_for_run
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.observation import Observation
from bridge.domain.subscriptions.callback import Callback

GONE = frozenset({"deleted", "not_found", "replaced"})
NO_REAL_ENDING = frozenset({"", "timed_out", "not_found"})  # the job itself was not seen to end

Parts = tuple[tuple[str, str], ...]


def has_ended(job: Job) -> bool:
    """Return whether this run has a real ending, even if a 404 has cast doubt on it since."""
    return job.ending not in NO_REAL_ENDING


def list_parts(observation: Observation) -> Parts:
    """Return pairs (id, ending word or "") of all items or deliveries."""
    return tuple((part.id, part.ending.word if part.ending else "") for part in observation.parts)


def is_new_run(job: Job, observation: Observation, parts: Parts, *, mark: str = "") -> bool:
    """Return whether the object of a job whose run has ended shows a new run.

    It does if it is running again, has ended differently or has new items, or was deleted and exists again. It does not
    if an item was only removed from the list, nor does a replaced item that can still be read as it was. Where a call is
    known to have begun a new run, other results show it too: `mark` is theirs.
    """
    if not has_ended(job):
        return False
    if job.ending == "replaced":
        return observation.ending is None and observation.status != job.status
    if observation.ending is None or observation.ending.word != job.ending:
        return True
    if job.before and mark and mark != job.before:
        return True
    return bool(job.parts) and has_new(job.parts, parts)


def is_blank(job: Job, observation: Observation) -> bool:
    """Return whether an ended job shows its old status without any items, from which nothing can be concluded."""
    blank = bool(job.parts) and not observation.parts
    return has_ended(job) and blank and observation.ending is None and observation.status == job.status


def has_new(before: Parts, now: Parts) -> bool:
    """Return whether there are parts that were not there before."""
    known = {part for part, _ in before}
    return any(part not in known for part, _ in now)


def is_redone(before: Parts, now: Parts) -> bool:
    """Return whether there are new items, and some of the old ones are no longer listed."""
    if not before or not now:
        return False
    listed = {part for part, _ in now}
    return has_new(before, now) and any(part not in listed for part, _ in before)


def start_run(job: Job, *, now_ms: int, clock: str) -> Job:
    """Return the job in its next run, whose clock starts now."""
    run = job.run + 1
    job = replace(
        job,
        state=JobState.WATCHING,
        run=run,
        run_ms=now_ms,
        clock_ms=start_clock(now_ms, clock),
        callbacks=tuple(_await_run(callback, run) for callback in job.callbacks),
        emitted=keep_for_run(job.emitted, run),
        ending="",
        ending_event="",
        before="",
        missing_ms=0,
        missing_reads=0,
    )
    waits = any(has_deadline_ahead(job, callback) for callback in job.callbacks)
    return replace(job, tail_ms=0) if waits else job


def resume_run(job: Job, *, now_ms: int, clock: str) -> Job:
    """Return a job that had ended as `not_found` as watched again in the same run."""
    return replace(
        job,
        state=JobState.WATCHING,
        clock_ms=start_clock(now_ms, clock),
        callbacks=tuple(_await_run(callback, job.run) for callback in job.callbacks),
        ending="",
        ending_event="",
    )


def start_clock(now_ms: int, clock: str) -> int:
    """Return a run's initial clock: now, or 0 for an outgoing post, whose clock starts with its first delivery."""
    return 0 if clock == "first_part" else now_ms


def _await_run(callback: Callback, run: int) -> Callback:
    """Return a callback that waits for `run`, even if it was notified too early (`deleted` before the run began)."""
    return replace(callback, notified_run=run - 1) if callback.notified_run >= run else callback


def is_decided(callback: Callback) -> bool:
    """Return whether it is known which run a callback is for; with `expect: new_run` the first read decides."""
    return callback.expect != "new_run" or callback.from_run > 0


def decide_runs(job: Job, *, ended: bool, begun_ms: int) -> Job:
    """Set the run of callbacks with `expect: new_run` that were registered before this read began."""
    run = job.run + 1 if ended else job.run

    def decide(callback: Callback) -> Callback:
        if is_decided(callback) or begun_ms < callback.created_ms:
            return callback
        return replace(callback, from_run=run)

    if all(is_decided(callback) for callback in job.callbacks):
        return job
    return replace(job, callbacks=tuple(decide(callback) for callback in job.callbacks))


def find_superseded(before: Parts, now: Parts, *, failed_words: Collection[str]) -> tuple[str, ...]:
    """Return failed items that are still listed beside the successors with which a retry replaced them.

    These are items that had failed before, if there are at least as many new items. With fewer new ones, only some were
    retried, and it is unknown which. Whether the provider goes on listing retried items is not documented. `failed_words` are the
    endings that say that an item failed.
    """
    known = dict(before)
    failed = tuple(part for part, word in now if word in failed_words and known.get(part) in failed_words)
    new = [part for part, _ in now if part not in known]
    return failed if known and len(new) >= len(failed) else ()


def find_replaced(before: Parts, now: Parts, *, begun: bool) -> tuple[str, ...]:
    """Return the items that were replaced by others; `begun`: the items of a new run may not be listed yet.

    An item that is only missing from the list was deleted.
    """
    listed = {part for part, _ in now}
    gone = tuple(part for part, _ in before if part not in listed)
    return gone if begun or has_new(before, now) else ()

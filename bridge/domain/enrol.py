"""Take a registration into a job's record: a new job, a new callback, or new fields of a live one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.absence import GONE
from bridge.domain.deadlines import is_live
from bridge.domain.job import Callback, CallbackState, Job, JobState
from bridge.domain.runs import NO_REAL_ENDING, start_run

CALLBACKS_PER_JOB = 100
CLOSED_KEPT = 20


class TooManyCallbacks(ValueError):
    """A job has as many live callbacks as it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The job with the callback in it; `hasten` says that it must be read now."""

    job: Job
    callback: Callback
    updated: bool
    hasten: bool


def new_job(
    *, project: str, account: str, kind: str, job_id: str, now_ms: int, clock: str, persona: str
) -> Job:
    """Begin to watch a job that has no record."""
    return Job(
        project=project,
        account=account,
        kind=kind,
        id=job_id,
        born_ms=now_ms,
        state=JobState.WATCHING,
        run=1,
        run_ms=now_ms,
        clock_ms=0 if clock == "first_part" else now_ms,
        persona=persona,
    )


def enrol(job: Job, callback: Callback, *, now_ms: int, clock: str, retried: Mapping[str, str]) -> Enrolled:
    """Add a callback, or give its fields to the live one for the same URL.

    `retried` maps items to their successors: the callback then means the run that those start.
    """
    idle = not any(is_live(each) for each in job.callbacks)
    settled = job.state is not JobState.WATCHING
    job = _begin_retry(_reopen(job, now_ms=now_ms, clock=clock), retried, now_ms=now_ms, clock=clock)
    if retried:
        callback = replace(callback, from_run=job.run)
    for place, known in enumerate(job.callbacks):
        if is_live(known) and known.fingerprint == callback.fingerprint:
            merged = _merge(known, callback)
            callbacks = (*job.callbacks[:place], merged, *job.callbacks[place + 1 :])
            return Enrolled(
                job=replace(job, callbacks=callbacks), callback=merged, updated=True, hasten=bool(retried)
            )
    live = [each for each in job.callbacks if is_live(each)]
    if len(live) >= CALLBACKS_PER_JOB:
        raise TooManyCallbacks
    closed = [each for each in job.callbacks if not is_live(each)][-CLOSED_KEPT:]
    job = replace(job, callbacks=(*closed, *live, callback))
    return Enrolled(job=job, callback=callback, updated=False, hasten=idle or settled)


def _reopen(job: Job, *, now_ms: int, clock: str) -> Job:
    """Watch again what was given up: a timed-out job, or one that was gone and may be back."""
    if job.state is JobState.TAIL:
        return replace(job, state=JobState.WATCHING, ending="")
    if job.state is JobState.ENDED and job.ending in GONE:
        return start_run(job, now_ms=now_ms, clock=clock)
    return job


def _begin_retry(job: Job, retried: Mapping[str, str], *, now_ms: int, clock: str) -> Job:
    if not retried or set(retried.values()) <= set(job.awaited):
        return job
    if job.state is JobState.ENDED and job.ending not in NO_REAL_ENDING:
        job = start_run(job, now_ms=now_ms, clock=clock)
    superseded = tuple(dict.fromkeys((*job.superseded, *retried)))
    return replace(job, superseded=superseded, awaited=tuple(retried.values()))


def _merge(known: Callback, new: Callback) -> Callback:
    """Keep a live callback's identity and what it was told; take everything else from the repetition."""
    return replace(
        new,
        id=known.id,
        created_ms=known.created_ms,
        url=known.url,
        state=CallbackState.WATCHING,
        expires_ms=max(known.expires_ms, new.expires_ms),
        from_run=max(known.from_run, new.from_run),
        timed_out_run=known.timed_out_run,
        run_told=known.run_told,
    )

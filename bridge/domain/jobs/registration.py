"""Add a registration to a job's record: as a new callback, or as new fields of a live one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.jobs.callbacks import CALLBACK_BYTES_PER_JOB, check_size, keep_newest, measure
from bridge.domain.jobs.deadlines import awaits_late_ending, has_deadline_ahead, is_live
from bridge.domain.jobs.emitted import has_deliveries
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import GONE, has_ended, start_clock, start_run
from bridge.domain.subscriptions.callback import Callback, CallbackState

CALLBACKS_PER_JOB = 100
# A closed callback is kept because its pending deliveries need its URL; all live ones can close at once.
CLOSED_KEPT = 2 * CALLBACKS_PER_JOB
NOTIFIED = (CallbackState.ENDED, CallbackState.TIMED_OUT)


class TooManyCallbacks(ValueError):
    """A job has the maximum number of live callbacks."""


class TooManyOwed(ValueError):
    """A job has the maximum number of closed callbacks to which something is still to be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationResult:
    """The job with the callback in it; `poll_now`: the job must be polled now."""

    job: Job
    callback: Callback
    updated: bool
    poll_now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedItems:
    """The meaning of a retry's answer: items that no longer count, and items to be seen before the run can end."""

    superseded: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()


def new_job(
    *,
    project: str,
    account: str,
    kind: str,
    job_id: str,
    now_ms: int,
    clock: str,
    persona: str,
    media: str = "",
) -> Job:
    """Return the record of a job that is not watched yet."""
    return Job(
        project=project,
        account=account,
        kind=kind,
        id=job_id,
        born_ms=now_ms,
        state=JobState.WATCHING,
        run=1,
        run_ms=now_ms,
        clock_ms=start_clock(now_ms, clock),
        persona=persona,
        media=media,
    )


def find_repeated(job: Job, fingerprint: bytes, *, once: bool) -> Callback | None:
    """Return the live callback of the same URL that a registration repeats and whose id it keeps, None without one.

    The repetition's secrets must be sealed with that id. A callback without `once` that was notified of an ending is
    not repeated by a registration with `once`: that one waits for the next ending, as a callback of its own.
    """
    for callback in job.callbacks:
        if is_live(callback) and callback.fingerprint == fingerprint:
            return callback if has_deadline_ahead(job, callback) or not once else None
    return None


def list_notified(job: Job, fingerprint: bytes) -> tuple[Callback, ...]:
    """Return the closed callbacks of a URL whose ending was sent or is about to be."""
    return tuple(each for each in job.callbacks if each.state in NOTIFIED and each.fingerprint == fingerprint)


def find_unanswered(job: Job, callback: Callback, held: Collection[str]) -> Callback | None:
    """Return the callback that ended before its registration was answered, if this registration repeats it.

    `held` are the ids of callbacks whose deliveries are on hold until that answer is sent. None if this registration
    asks for something else than the ending whose delivery is on hold.
    """
    wanted = (True, callback.expect, callback.events)
    for each in list_notified(job, callback.fingerprint) if callback.once else ():
        same = (each.once, each.expect, each.events) == wanted and callback.from_run in (0, each.from_run)
        if same and each.id in held:
            return each
    return None


def register_callback(
    job: Job,
    callback: Callback,
    *,
    now_ms: int,
    clock: str,
    retried: Mapping[str, str],
    held: Collection[str] = (),
    undelivered: Collection[str] = (),
) -> RegistrationResult:
    """Add a callback, or update the one that it repeats: the live one of the same URL, or an unanswered one.

    `retried` maps items to their successors: the callback is then for the run that these start. For `held` see
    `find_unanswered`. `undelivered` are the ids of closed callbacks that must be kept. Raise `TooManyCallbacks`,
    `TooManyOwed` or `CallbacksTooLarge` for more than a job may have.
    """
    result = _register(
        job, callback, now_ms=now_ms, clock=clock, retried=retried, held=held, undelivered=undelivered
    )
    check_size(job, result.job, now_ms=now_ms)
    return result


def _register(
    job: Job,
    callback: Callback,
    *,
    now_ms: int,
    clock: str,
    retried: Mapping[str, str],
    held: Collection[str],
    undelivered: Collection[str],
) -> RegistrationResult:
    known = find_repeated(job, callback.fingerprint, once=callback.once)
    hears_parts = not callback.once and (known is None or known.once)
    callback = replace(callback, owed_parts=hears_parts and has_deliveries(job.emitted))
    idle = not any(is_live(each) for each in job.callbacks)
    settled = job.state is not JobState.WATCHING
    retry = read_retry(retried)
    begun = _begin_retry(job, retry, now_ms=now_ms, clock=clock)
    callback = _bind_to_retry(begun, callback, retry, retried)
    if known is None and (unanswered := find_unanswered(begun, callback, held)) is not None:
        return _repeat(begun, unanswered, callback, poll_now=False)
    if known is None or retry.awaited:
        job = _reopen(begun, now_ms=now_ms, clock=clock)
    if known is not None:
        return _repeat(job, known, callback, poll_now=bool(retried))
    job = _add(job, callback, now_ms=now_ms, undelivered=undelivered)
    return RegistrationResult(
        job=job, callback=callback, updated=False, poll_now=idle or settled or bool(retried)
    )


def _bind_to_retry(job: Job, callback: Callback, retry: RetriedItems, retried: Mapping[str, str]) -> Callback:
    """Return the callback bound to the run that a retry started, or to any new run if the items kept their ids."""
    if retry.awaited:
        return replace(callback, from_run=job.run)
    return replace(callback, expect="new_run") if retried else callback


def _add(job: Job, callback: Callback, *, now_ms: int, undelivered: Collection[str]) -> Job:
    """Add a callback, which becomes the only one of its URL that still gets events.

    The oldest closed ones are dropped where there are too many, but none to which something is still to be delivered.
    """
    known = tuple(
        _displace(each, now_ms=now_ms) if each.fingerprint == callback.fingerprint else each
        for each in job.callbacks
    )
    live = [each for each in known if is_live(each)]
    owed = [each for each in known if awaits_late_ending(each, now_ms=now_ms)]
    if len(live) >= CALLBACKS_PER_JOB or len(owed) > CLOSED_KEPT - CALLBACKS_PER_JOB:
        raise TooManyCallbacks
    closed = [each for each in known if not (is_live(each) or awaits_late_ending(each, now_ms=now_ms))]
    waiting = [each for each in closed if each.id in undelivered]
    room = CLOSED_KEPT - len(owed) - len(waiting), CALLBACK_BYTES_PER_JOB - measure(waiting)
    if min(room) < 0:
        raise TooManyOwed
    idle = [each for each in closed if each.id not in undelivered]
    kept = keep_newest(idle, count=room[0], size=room[1])
    return replace(job, callbacks=(*kept, *waiting, *owed, *live, callback))


def _displace(callback: Callback, *, now_ms: int) -> Callback:
    """End a callback whose URL another one takes over; of one that was told `.timed_out`, no ending follows."""
    if is_live(callback):
        return replace(callback, state=CallbackState.ENDED, closed_ms=now_ms)
    return replace(callback, late=False) if callback.state is CallbackState.TIMED_OUT else callback


def read_retry(retried: Mapping[str, str]) -> RetriedItems:
    """Evaluate a mapping of items to successors; an item that is its own successor still counts."""
    awaited = tuple(dict.fromkeys(new for new in retried.values() if new not in retried))
    if not awaited:
        return RetriedItems()
    return RetriedItems(superseded=tuple(old for old, new in retried.items() if old != new), awaited=awaited)


def _reopen(job: Job, *, now_ms: int, clock: str) -> Job:
    """Return a timed out job as watched again, and an id that was not found with another grace."""
    job = replace(job, tail_ms=0) if job.tail_ms else job
    if job.state is JobState.TAIL:
        return replace(job, state=JobState.WATCHING, ending="")
    if job.ending == "not_found":
        return replace(
            job,
            state=JobState.WATCHING,
            clock_ms=start_clock(now_ms, clock),
            ending="",
            ending_event="",
            missing_ms=0,
            missing_reads=0,
        )
    return job


def _begin_retry(job: Job, retry: RetriedItems, *, now_ms: int, clock: str) -> Job:
    """Return the job in the run that a retry starts, unless the retry's items were seen or announced before."""
    known = {part for part, _ in job.parts} | set(job.awaited) | set(job.superseded)
    if known.issuperset(retry.awaited):
        return job
    if job.state is JobState.TAIL or (has_ended(job) and job.ending not in GONE):
        job = start_run(job, now_ms=now_ms, clock=clock)
    superseded = tuple(dict.fromkeys((*job.superseded, *retry.superseded)))
    awaited = tuple(dict.fromkeys((*job.awaited, *retry.awaited)))
    return replace(
        job,
        superseded=superseded,
        awaited=tuple(each for each in awaited if each not in superseded),
        parts=tuple(each for each in job.parts if each[0] not in superseded),
    )


def _repeat(job: Job, known: Callback, new: Callback, *, poll_now: bool) -> RegistrationResult:
    """Update a callback with a repetition's fields, except for its identity, its state and what it was notified of."""
    from_run = max(known.from_run, new.from_run) if new.from_run or new.expect == known.expect else 0
    merged = replace(
        new,
        id=known.id,
        created_ms=known.created_ms,
        url=known.url,
        state=known.state,
        closed_ms=known.closed_ms,
        expires_ms=max(known.expires_ms, new.expires_ms),
        from_run=from_run,
        timed_out_run=known.timed_out_run,
        notified_run=known.notified_run,
        auth_refused=known.auth_refused,
        owed_parts=known.owed_parts or new.owed_parts,
    )
    callbacks = tuple(merged if each.id == known.id else each for each in job.callbacks)
    return RegistrationResult(
        job=replace(job, callbacks=callbacks), callback=merged, updated=True, poll_now=poll_now
    )

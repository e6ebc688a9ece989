"""A job's lives: a regenerated post keeps its id, and its old `completed` must not count again.

ReelMirror "Generation": a full regeneration keeps the post's id and makes new items; `failed_only` gives each retried
item a new id; a single item may keep its id.
"""

from msgspec.structs import replace

from bridge.domain.jobs.deadlines import has_deadline_ahead
from bridge.domain.jobs.emitted import keep_for_run
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.observation import Observation
from bridge.domain.subscriptions.callback import Callback

GONE = frozenset({"deleted", "not_found", "replaced"})
NO_REAL_ENDING = frozenset({"", "timed_out", "not_found"})  # nothing of the job itself was seen to end

Parts = tuple[tuple[str, str], ...]


def has_ended(job: Job) -> bool:
    """Say whether this run has a real ending, which may be in doubt after a 404."""
    return job.ending not in NO_REAL_ENDING


def list_parts(observation: Observation) -> Parts:
    """Give (id, ending word or "") of each item or delivery."""
    return tuple((part.id, part.ending.word if part.ending else "") for part in observation.parts)


def is_new_run(job: Job, observation: Observation, parts: Parts) -> bool:
    """Say whether an object whose run had ended shows another life.

    It does when it runs again, ends in another way, or has new items; and when a deleted one is back. An item that
    was taken off its list is no life, nor is a replaced item that can still be read as it was.
    """
    if not has_ended(job):
        return False
    if job.ending == "replaced":
        return observation.ending is None and observation.status != job.status
    if observation.ending is None or observation.ending.word != job.ending:
        return True
    return bool(job.parts) and has_new(job.parts, parts)


def is_blank(job: Job, observation: Observation) -> bool:
    """Say whether an ended job shows its ending's word without the items it had: no statement either way."""
    blank = bool(job.parts) and not observation.parts
    return has_ended(job) and blank and observation.ending is None and observation.status == job.status


def has_new(before: Parts, now: Parts) -> bool:
    """Say whether there are parts that were not there before."""
    known = {part for part, _ in before}
    return any(part not in known for part, _ in now)


def is_redone(before: Parts, now: Parts) -> bool:
    """Say whether new items took the place of some that are no longer listed."""
    listed = {part for part, _ in now}
    return has_new(before, now) and any(part not in listed for part, _ in before)


def start_run(job: Job, *, now_ms: int, clock: str) -> Job:
    """Begin run n + 1: nothing of it has been told, its clock starts now."""
    run = job.run + 1
    job = replace(
        job,
        state=JobState.WATCHING,
        run=run,
        run_ms=now_ms,
        clock_ms=start_clock(now_ms, clock),
        callbacks=tuple(_before_run(callback, run) for callback in job.callbacks),
        emitted=keep_for_run(job.emitted, run),
        ending="",
        ending_event="",
        missing_ms=0,
        missing_reads=0,
    )
    waits = any(has_deadline_ahead(job, callback) for callback in job.callbacks)
    return replace(job, tail_ms=0) if waits else job


def find_again(job: Job, *, now_ms: int, clock: str) -> Job:
    """Go on with a run that was given up as `not_found`: it was there all the time, or is now, and has yet to end."""
    return replace(
        job,
        state=JobState.WATCHING,
        clock_ms=start_clock(now_ms, clock),
        callbacks=tuple(_before_run(callback, job.run) for callback in job.callbacks),
        ending="",
        ending_event="",
    )


def start_clock(now_ms: int, clock: str) -> int:
    """Give a job's clock at its start; a publication's begins with its first delivery."""
    return 0 if clock == "first_part" else now_ms


def _before_run(callback: Callback, run: int) -> Callback:
    """Let a callback that was told more than it could know (deleted while it waited for a run) wait for this run."""
    return replace(callback, notified_run=run - 1) if callback.notified_run >= run else callback


def is_decided(callback: Callback) -> bool:
    """Say whether it is known which run a callback means: `expect: new_run` waits for a first read."""
    return callback.expect != "new_run" or callback.from_run > 0


def decide_runs(job: Job, *, ended: bool, begun_ms: int) -> Job:
    """Decide, at the first read after its registration, which run a callback with `expect: new_run` means."""
    run = job.run + 1 if ended else job.run

    def decide(callback: Callback) -> Callback:
        if is_decided(callback) or begun_ms < callback.created_ms:
            return callback
        return replace(callback, from_run=run)

    if all(is_decided(callback) for callback in job.callbacks):
        return job
    return replace(job, callbacks=tuple(decide(callback) for callback in job.callbacks))


def find_superseded(before: Parts, now: Parts) -> tuple[str, ...]:
    """Find items that a retry of all failed ones left listed beside their successors.

    They had failed, have failed still, and at least as many new items came: fewer new ones are a retry of some, and
    which is not told. Whether the upstream goes on listing them is not documented.
    """
    known = dict(before)
    failed = tuple(part for part, word in now if word == "failed" and known.get(part) == "failed")
    new = [part for part, _ in now if part not in known]
    return failed if known and len(new) >= len(failed) else ()


def find_replaced(before: Parts, now: Parts, *, begun: bool) -> tuple[str, ...]:
    """Find the items that others took the place of; `begun` says that the new ones of a new run may still come.

    An item that merely goes missing from its list was deleted.
    """
    listed = {part for part, _ in now}
    gone = tuple(part for part, _ in before if part not in listed)
    return gone if begun or has_new(before, now) else ()

"""A job's lives: a regenerated post keeps its id, and its old `completed` must not count again.

ReelMirror "Generation": a full regeneration keeps the post's id and makes new items; `failed_only` gives each retried
item a new id; a single item may keep its id.
"""

from msgspec.structs import replace

from bridge.domain.job import Job, JobState
from bridge.domain.reading import Observation

NO_REAL_ENDING = frozenset({"", "timed_out", "not_found"})

Parts = tuple[tuple[str, str], ...]


def list_parts(observation: Observation) -> Parts:
    """Give (id, ending word or "") of each item or delivery."""
    return tuple((part.id, part.ending.word if part.ending else "") for part in observation.parts)


def is_new_run(job: Job, observation: Observation, parts: Parts) -> bool:
    """Say whether an object whose run had ended shows another life.

    It does when it runs again, ends in another way, or has other items; and when a deleted one is back.
    """
    if job.ending in NO_REAL_ENDING:
        return False
    if observation.ending is None or observation.ending.word != job.ending:
        return True
    return bool(job.parts) and {part for part, _ in job.parts} != {part for part, _ in parts}


def start_run(job: Job, *, now_ms: int, clock: str) -> Job:
    """Begin run n + 1: nothing of it has been told, its clock starts now."""
    return replace(
        job,
        state=JobState.WATCHING,
        run=job.run + 1,
        run_ms=now_ms,
        clock_ms=0 if clock == "first_part" else now_ms,
        ending="",
        ending_event="",
        missing_ms=0,
        missing_reads=0,
        tail_ms=0,
    )


def find_superseded(job: Job, parts: Parts) -> tuple[str, ...]:
    """Find items that a retry left listed beside their successors: failed before, failed still, and new ids came.

    Whether the upstream goes on listing them is not documented.
    """
    before = dict(job.parts)
    if not before or all(part in before for part, _ in parts):
        return ()
    return tuple(part for part, word in parts if word == "failed" and before.get(part) == "failed")


def find_replaced(job: Job, parts: Parts) -> tuple[str, ...]:
    """Find items of the ended run that the new one no longer lists or has superseded."""
    now = {part for part, _ in parts}
    return tuple(part for part, _ in job.parts if part not in now)

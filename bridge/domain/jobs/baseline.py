"""What a job looked like before a call that runs it again, so that its old ending is not taken for that of the new run."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import Parts, has_ended, list_parts
from bridge.domain.observation import Observation

MARK_BYTES = 6


class Baseline(Struct, frozen=True, array_like=True, kw_only=True):
    """A job before a call: its status, the last word of its ending's event (empty while it ran), its parts and results.

    `mark` stands for its results, see `mark_results`.
    """

    status: str
    ending: str = ""
    review: str = ""
    parts: Parts = ()
    mark: str = ""


def take_baseline(observation: Observation, fields: Sequence[str]) -> Baseline:
    """Return what an observation shows; `fields` are those of its object that hold results."""
    return Baseline(
        status=observation.status,
        ending=observation.ending.word if observation.ending else "",
        review=observation.review or "",
        parts=list_parts(observation),
        mark=mark_results(observation.data, fields),
    )


def mark_results(data: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Return a short text that differs where an object's results do; empty without any.

    The query of a URL does not count: it may be signed anew for each read.
    """
    results = [value.partition("?")[0] for name in fields if isinstance(value := data.get(name), str)]
    return blake2b("\n".join(results).encode(), digest_size=MARK_BYTES).hexdigest() if any(results) else ""


def shows_new_run(before: Baseline, now: Baseline) -> bool:
    """Return whether a job that had ended runs again, or has ended with something else than before.

    An item that is only missing from its list was deleted. Of a job that was running before, its new items tell it, if
    none of the old ones is listed.
    """
    known = {part for part, _ in before.parts}
    new = [part for part, _ in now.parts if part not in known]
    if not before.ending:
        return bool(known) and len(new) == len(now.parts) > 0
    return now.ending != before.ending or bool(known and new) or (bool(now.mark) and now.mark != before.mark)


def apply_baseline(job: Job, before: Baseline) -> tuple[Job, int]:
    """Return a job as it was before a call that runs it again, and the run that the call began, 0 if that is not known.

    A job that is watched is as its own reads show it; one that nobody reads is brought up to date. One without a status
    had not begun at all, as a first voice conversion.
    """
    if not before.ending:
        return job, 0 if before.status or has_ended(job) else job.run
    if not any(is_live(callback) for callback in job.callbacks):
        ended = replace(
            job,
            state=JobState.ENDED,
            status=before.status,
            parts=before.parts,
            ending=before.ending,
            ending_event=job.ending_event if job.ending == before.ending else "",
            before=before.mark,
            seen=True,
            missing_ms=0,
            missing_reads=0,
            tail_ms=0,
        )
        return ended, job.run + 1
    if not has_ended(job):
        return job, 0
    same = (job.ending, {part for part, _ in job.parts}) == (
        before.ending,
        {part for part, _ in before.parts},
    )
    return (replace(job, before=before.mark), job.run + 1) if same else (job, job.run)

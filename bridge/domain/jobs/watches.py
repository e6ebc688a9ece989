"""Watches: callbacks that nothing is sent to, which keep a job polled for those who wait for its end.

A watch lives as long as any callback with `once` does: until the job's first ending event, or its `.timed_out` and then the
slow tail. It has a text in place of a URL, so that a job has one watch, which lists show and DELETE ends.
"""

from bridge.domain.jobs.deadlines import has_deadline_ahead, is_live
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.urls.policy import CheckedUrl

WATCH = CheckedUrl("wait:", inbox=False, scheme="wait")


def is_watch(origin: str) -> bool:
    """Return whether a callback of this origin is a watch."""
    return origin == WATCH.origin


def needs_watch(job: Job) -> bool:
    """Return whether a job has not ended and no callback asks for its end any more."""
    return job.state is not JobState.ENDED and not any(is_live(each) for each in job.callbacks)


def is_only_watched(job: Job) -> bool:
    """Return whether a job is polled for watches alone: nobody gave a URL for it."""
    live = [each for each in job.callbacks if is_live(each)]
    return bool(live) and all(is_watch(each.origin) for each in live)


def is_over(job: Job) -> bool:
    """Return whether there is nothing to wait for: the job has ended, and no callback on it expects a new run."""
    return job.state is JobState.ENDED and not any(has_deadline_ahead(job, each) for each in job.callbacks)


def ends_wait(job: Job, *, began_in_tail: bool) -> bool:
    """Return whether somebody who waits is to be answered now; a job that times out meanwhile is an answer too."""
    return is_over(job) or (job.state is JobState.TAIL and not began_in_tail)

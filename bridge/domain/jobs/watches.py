"""Watches: callbacks that nothing is sent to, which keep a job polled for those who wait for its end.

A watch lives as long as any callback with `once` does: until the job's first ending event, or its `.timed_out` and then the
slow tail. It has a text in place of a URL, so that a job has one watch, which lists show and DELETE ends.

A group has a watch of its own on each of its members, which no list shows: it ends with the group's callback. The step
that closes such a watch also puts the group into the queue.
"""

from typing import Final

from bridge.domain.ids import job_key
from bridge.domain.jobs.deadlines import has_deadline_ahead, is_live
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.subscriptions.callback import Callback
from bridge.domain.urls.policy import CheckedUrl

WATCH = CheckedUrl("wait:", inbox=False, scheme="wait")
GROUP: Final = "job_group"  # the kind of the record of jobs that are waited for together ...
CHAIN: Final = "chain"  # ... and of a job with all that comes of it
GROUPS: Final = frozenset({GROUP, CHAIN})


def is_watch(origin: str) -> bool:
    """Return whether a callback of this origin is a watch."""
    return origin == WATCH.origin


def member_url(group: str) -> CheckedUrl:
    """Return what stands in place of a URL in the watches of a group's members; `group` is its "kind/id"."""
    return CheckedUrl(f"group:{group}", inbox=False, scheme="group")


def name_group(kind: str, identifier: str) -> str:
    """Return how the watches of its members name a group."""
    return f"{kind}/{identifier}"


def group_key(shard: str, account: str, name: str) -> str:
    """Return the key of the record of a group that a watch names."""
    kind, _, identifier = name.partition("/")
    return job_key(shard, account, kind, identifier)


def list_groups_to_wake(before: Job, after: Job, *, has_news: bool) -> list[str]:
    """Return the groups, by their names, for which a change of one of their members has closed that member's watch.

    With `has_news`, new events, also the chains that this member is a part of.
    """
    watches = [each for each in after.callbacks if each.group]
    if not watches:
        return []
    known = {each.id: each.closed_by for each in before.callbacks if each.group}
    woken = (
        each.group
        for each in watches
        if (each.closed_by and each.closed_by != known.get(each.id))
        or (has_news and each.group.startswith(name_group(CHAIN, "")))
    )
    return list(dict.fromkeys(woken))


def find_member_watch(job: Job, group: str) -> Callback | None:
    """Return the newest watch that a group has on one of its members."""
    found = [each for each in job.callbacks if each.group == group]
    return max(found, key=lambda each: each.created_ms) if found else None


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

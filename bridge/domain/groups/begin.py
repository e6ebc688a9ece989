"""Begin a group, or begin it again for a callback that comes after its end."""

from msgspec.structs import replace

from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.emitted import keep_for_run
from bridge.domain.jobs.records import Job, JobState, Member


def begin_group(before: Job | None, job: Job, members: tuple[Member, ...], *, now_ms: int) -> Job:
    """Return a group that a callback was added to, waiting for its members; `before` is how it was stored.

    A group that nobody waits for any more begins a new run, so that its next closing is an event of its own.
    """
    if before is None:
        return replace(job, members=members)
    if list_live_callbacks(before):
        return job
    return replace(
        job,
        members=members,
        state=JobState.WATCHING,
        run=before.run + 1,
        run_ms=now_ms,
        status="",
        ending="",
        ending_event="",
        emitted=keep_for_run(job.emitted, before.run + 1),
    )

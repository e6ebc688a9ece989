"""Lease jobs that wait in the queue, to apply an answer that shows them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bridge.services.context import Services
from bridge.services.jobs.observe import Held, take_held
from bridge.store.queue.lanes import Settled
from bridge.store.records import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """A leased job, and how many milliseconds were left until it was due."""

    held: Held
    left_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedJobs:
    """The jobs that were leased, the keys of those that are not watched, and how many jobs of the account are."""

    jobs: Sequence[WaitingJob] = ()
    unwatched: Collection[str] = ()
    watched: int = 0


async def lease_waiting_jobs(
    services: Services, account: str, begun_ms: Mapping[str, int], *, lease_ms: int
) -> LeasedJobs:
    """Lease those of some jobs that wait in their account's queue, and were not read since what shows them began.

    `begun_ms` has that time for each job's key. Jobs that are not watched are left out, and so are jobs that are being read, since that read shows as much.
    """
    store, shard = services.store, services.store.shard_of(account)
    claim = await store.poll.hold(shard, account, list(begun_ms), lease_ms=lease_ms)
    if not claim.items:
        return LeasedJobs(unwatched=claim.absent, watched=claim.size)
    members = [item.member for item in claim.items]
    page = await store.load_many(Wanted(jobs=members, logs=members))
    jobs: list[WaitingJob] = []
    back: list[Settled] = []
    for item in claim.items:
        held = take_held(page, item.member, claim.token)
        left_ms = max(0, item.due_ms - claim.now_ms)
        if held is None or held.log.last_ms >= begun_ms[item.member]:
            back.append(Settled(account, item.member, claim.token, left_ms))
        else:
            jobs.append(WaitingJob(held=held, left_ms=left_ms))
    if back:
        await store.poll.settle(shard, back)
    return LeasedJobs(jobs=jobs, unwatched=claim.absent, watched=claim.size)


def return_to_queue(job: WaitingJob) -> Settled:
    """Return what puts a job back to its place in the queue."""
    held = job.held
    return Settled(held.job.record.account, held.key, held.token, job.left_ms)

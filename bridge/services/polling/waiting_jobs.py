"""Lease jobs that wait in the queue, to apply an answer that shows them."""

from collections.abc import Mapping
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


async def lease_waiting_jobs(
    services: Services, account: str, begun_ms: Mapping[str, int], *, lease_ms: int
) -> list[WaitingJob]:
    """Lease those of some jobs that wait in their account's queue, and were not read since what shows them began.

    `begun_ms` has that time for each job's key. Jobs that are not watched are left out, and so are jobs that are being read, since that read shows as much.
    """
    if not begun_ms:
        return []
    store, shard = services.store, services.store.shard_of(account)
    claim = await store.poll.hold(shard, account, list(begun_ms), lease_ms=lease_ms)
    if not claim.items:
        return []
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
    return jobs


def return_to_queue(job: WaitingJob) -> Settled:
    """Return what puts a job back to its place in the queue."""
    held = job.held
    return Settled(held.job.record.account, held.key, held.token, job.left_ms)

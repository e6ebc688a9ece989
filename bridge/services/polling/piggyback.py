"""Use answers for watched jobs that they were not requested for: other rows of a list, and the items of a post.

What an answer shows of a watched job counts as a poll of it and saves a request. `observe_rows` applies the rows of any
page of a list, `observe_parts` the items of a post, whatever they were requested for; `asked` are the jobs that the
caller has leased already. All other jobs are found, leased and settled here.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.transition import quiet_until_ms
from bridge.domain.observation import Observation, Observed
from bridge.providers.lists import Rows, RowSeen
from bridge.providers.read import part_observation
from bridge.providers.registry import KINDS
from bridge.providers.spec import Lens
from bridge.services.context import Services, kind_traits
from bridge.services.duration_estimates import DurationEstimates
from bridge.services.jobs.observe import Held, observe, observe_unchanged
from bridge.services.polling.list_rows import (
    digest_of,
    is_partial,
    needs_own_read,
    read_row_of,
    rows_by_key,
    with_known_timing,
)
from bridge.services.polling.waiting_jobs import WaitingJob, lease_waiting_jobs, return_to_queue
from bridge.store.queue.lanes import Settled

PART_WATCHED_S = 60.0  # an account counts as having watched items for so long after one was due
MAX_MISSED = 10_000


def no_patience(_: Job) -> float:
    """Return 0: a job that was shown is polled after its documented interval."""
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteRow:
    """A job whose row shows an ending incompletely. It is still leased and needs a read of its own."""

    held: Held
    seen: Observation
    at: PollContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsObserved:
    """The watched jobs that a page's rows showed, and those of them that are still to be read."""

    shown: Sequence[Held]
    incomplete: Sequence[IncompleteRow]


class Piggyback:
    """Applies what answers show to watched jobs that they were not requested for."""

    def __init__(
        self,
        services: Services,
        duration_estimates: DurationEstimates,
        *,
        lease_ms: int,
        patience: Callable[[Job], float] = no_patience,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the duration of the leases under which answers are applied to jobs.

        A job that was shown waits at least `patience` times its documented interval for its next poll.
        """
        self._services = services
        self._duration_estimates = duration_estimates
        self._lease_ms = lease_ms
        self._patience_for = patience
        self._clock_s = clock_s
        self._part_watched_s: dict[str, float] = {}
        self._missed: dict[str, tuple[int, float]] = {}

    async def observe_rows(
        self, account: str, kind: str, page: Rows, at: PollContext, *, asked: Sequence[Held] = ()
    ) -> RowsObserved:
        """Apply each row of a page to its job: to those that the page was requested for, and to others that wait."""
        shard = self._services.store.shard_of(account)
        rows = rows_by_key(shard, account, kind, page)
        mine = {each.key for each in asked}
        jobs = [WaitingJob(held=each, left_ms=0) for each in asked if each.key in rows]
        jobs += await self._lease(account, [key for key in rows if key not in mine], at)
        settled: list[Settled] = []
        incomplete: list[IncompleteRow] = []
        for job in jobs:
            row = rows[job.held.key]
            moment = replace(at, digest=digest_of(row), source="list")
            read = read_row_of(job.held, row, words=self._services.upstream.words, now_ms=at.now_ms)
            if read is None:
                settled.append(return_to_queue(job))
            elif needs_own_read(job.held, read):
                incomplete.append(IncompleteRow(held=job.held, seen=read.observation, at=moment))
            else:
                settled += await self._observe_row(job, read, moment)
        if settled:
            await self._services.store.poll.settle(shard, settled)
        return RowsObserved(shown=[job.held for job in jobs], incomplete=incomplete)

    async def _observe_row(self, job: WaitingJob, row: RowSeen, at: PollContext) -> Sequence[Settled]:
        """Apply a row to its job; an incomplete row can at least show that nothing has changed."""
        held = job.held
        if not is_partial(held, row):
            settled = await self.observe(held, row.observation, at)
            if self.may_show_watched(held.job.record.account, held.job.record.kind):
                await self.observe_parts(held, row.observation, at)
            return settled
        seen = with_known_timing(held, row.observation)
        if self._shows_no_change(held, row.observation, at):
            unchanged = replace(at, digest=held.log.digest)
            shown, least_ms = Observed(observation=seen), self._least_ms(held.job.record, seen)
            return (observe_unchanged(self._services, held, shown, unchanged, least_ms=least_ms),)
        if job.left_ms:  # it will be read by itself later, which shows all of it
            return (return_to_queue(job),)
        return await self.observe(held, seen, at)

    def _shows_no_change(self, held: Held, seen: Observation, at: PollContext) -> bool:
        """Return whether a job is shown as it was, and no deadline of its callbacks has come."""
        job = held.job.record
        same = seen.status == job.status and seen.ending is None and held.log.polls > 0
        traits, scale = kind_traits(job.kind), self._services.time_scale
        return same and quiet_until_ms(job, held.log, traits=traits, scale=scale) > at.now_ms

    def note_watched(self, account: str, kind: str) -> None:
        """Record that an account watches a job of a kind, which matters if answers about posts can show that kind."""
        if KINDS[kind].parent_field is not None:
            self._part_watched_s[account] = self._clock_s()

    def may_show_watched(self, account: str, kind: str) -> bool:
        """Return whether an answer about a kind of job may show other jobs that are watched."""
        if not KINDS[kind].part_kinds or account not in self._part_watched_s:
            return False
        if self._clock_s() - self._part_watched_s[account] > PART_WATCHED_S:
            del self._part_watched_s[account]
            return False
        return True

    async def observe_parts(self, held: Held, post: Observation, at: PollContext) -> None:
        """Apply what a post that was just read shows of its items to those items that are watched."""
        job = held.job.record
        shown = {
            job_key(held.key[0], job.account, kind, part.id): (kind, part)
            for part in post.parts
            for kind in KINDS[job.kind].part_kinds
            if KINDS[kind].registrable
        }
        jobs = await self._lease(job.account, list(shown), at)
        # An item waits longer than its post, so that the post is read first and shows it again.
        min_wait_ms = 0 if post.ending else self._services.time_scale.ms(2 * post.timing.interval_s)
        self._note_missed(shown.keys() - {each.held.key for each in jobs}, min_wait_ms)
        settled: list[Settled] = []
        for each in jobs:
            kind, part = shown[each.held.key]
            lens = Lens(now_ms=at.now_ms, words=self._services.upstream.words)
            seen = part_observation(KINDS[kind], part, post, lens=lens)
            self.note_watched(job.account, kind)
            if seen is None:
                settled.append(return_to_queue(each))
                continue
            moment = replace(at, digest=digest_of(part.data))
            settled += await self.observe(each.held, seen, moment, min_wait_ms=min_wait_ms)
        if settled:
            await self._services.store.poll.settle(held.key[0], settled)

    def _note_missed(self, keys: Collection[str], min_wait_ms: int) -> None:
        """Remember items that a post showed but that could not be leased, mostly because they are being read."""
        if len(self._missed) + len(keys) > MAX_MISSED:
            self._missed.clear()
        until_s = self._clock_s() + min_wait_ms / 1000
        self._missed.update((key, (min_wait_ms, until_s)) for key in keys)

    def min_wait_ms(self, key: str) -> int:
        """Return how long a job that was read by itself must wait at least; 0 for its usual interval.

        A post and its item that are due at the same time would both be read each time. So the item waits as long as
        one that its post has shown, and the post's next read finds it waiting.
        """
        min_wait_ms, until_s = self._missed.pop(key, (0, 0.0))
        return min_wait_ms if self._clock_s() < until_s else 0

    async def observe(
        self, held: Held, seen: Observation, at: PollContext, *, min_wait_ms: int = 0
    ) -> Sequence[Settled]:
        """Apply what an answer shows to a leased job; return what is left to settle. See `jobs.observe`."""
        self._duration_estimates.note(
            held.job.record, held.log, at_ms=at.now_ms, ended=seen.ending is not None
        )
        result = Observed(observation=seen)
        least_ms = max(min_wait_ms, self._least_ms(held.job.record, seen))
        settled = await observe(self._services, held, result, at, least_ms=least_ms)
        return (settled,) if settled else ()

    def _least_ms(self, job: Job, seen: Observation) -> int:
        patience = self._patience_for(job)
        return self._services.time_scale.ms(patience * seen.timing.interval_s) if patience else 0

    async def _lease(self, account: str, keys: Sequence[str], at: PollContext) -> Sequence[WaitingJob]:
        if not keys:
            return ()
        begun_ms = dict.fromkeys(keys, at.begun_ms)
        return (await lease_waiting_jobs(self._services, account, begun_ms, lease_ms=self._lease_ms)).jobs

"""List polls: one request for a page that shows many jobs of an account."""

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import KeyRefused, Observation, Observed, PollResult, Throttled
from bridge.domain.polling.list_pages import ListStats, note_page
from bridge.domain.polling.rate_limit import Purpose
from bridge.http.upstream import ListAnswer
from bridge.providers.lists import Rows
from bridge.services.accounts.account_health import AccountHealthRecorder
from bridge.services.accounts.rate_budget import BudgetRequest, RateBudget
from bridge.services.context import Services
from bridge.services.jobs.observe import Held, observe
from bridge.services.polling.account_reader import AccountReader, with_tokens
from bridge.services.polling.list_membership import MAX_MISSES, ListMembership
from bridge.services.polling.list_rows import digest_of
from bridge.services.polling.piggyback import IncompleteRow, Piggyback
from bridge.services.polling.poll_requests import GrantedRequest
from bridge.store.queue.lanes import Settled
from bridge.store.tables.account_health import AccountHealth

ROW_WAIT_S = 5.0  # an ending that a row shows incompletely waits so long for a read of the job itself
MIN_READ_S = 0.5  # a read that was granted at the last moment may still take so long


class ListPollTask(Struct, frozen=True, kw_only=True, gc=False):
    """A granted request for a page of a list, and its account's health as loaded."""

    granted: GrantedRequest
    health: AccountHealth

    @property
    def account(self) -> str:
        """Id of the account whose list it is."""
        return self.granted.bucket.account

    @property
    def jobs(self) -> tuple[Held, ...]:
        """The jobs for which the page is read."""
        return tuple(job.held for job in self.granted.jobs)

    @property
    def shard(self) -> str:
        """The shard of its account."""
        return self.jobs[0].key[0]

    @property
    def list(self) -> str:
        """The name of the list."""
        return self.granted.request.list

    @property
    def kind(self) -> str:
        """The kind of the jobs in its rows."""
        return self.jobs[0].job.record.kind


class ListPolls:
    """Polls many jobs of an account with one request."""

    def __init__(
        self,
        services: Services,
        *,
        reader: AccountReader,
        rate_budget: RateBudget,
        health_recorder: AccountHealthRecorder,
        piggyback: Piggyback,
        list_membership: ListMembership,
    ) -> None:
        self._services = services
        self._reader = reader
        self._rate_budget = rate_budget
        self._health_recorder = health_recorder
        self._piggyback = piggyback
        self._list_membership = list_membership

    async def poll(self, task: ListPollTask) -> Sequence[Settled]:
        """Read one page and apply each of its rows to its job; return what is left to settle."""
        begun_ms = self._services.clock_ms()
        async with self._reader.keep_leases(task.account, task.jobs) as kept:
            answer = await self._reader.read_page(
                task.account, task.health.version, task.kind, task.list, offset=task.granted.request.offset
            )
        asked = with_tokens(task.jobs, kept)
        at = PollContext(begun_ms=begun_ms, now_ms=self._services.clock_ms(), took_ms=answer.took_ms)
        if isinstance(answer.result, Rows):
            return await self._take_rows(task, asked, answer.result, answer, at)
        await self._record_response(task, answer)
        return await self._take_refusal(task, asked, answer.result, at)

    async def _record_response(self, task: ListPollTask, answer: ListAnswer, *, batched: int = 0) -> None:
        await self._rate_budget.record_response(
            task.granted.bucket,
            task.granted.id,
            answer.rate,
            answer.result,
            took_ms=answer.took_ms,
            batched=batched,
        )

    async def _take_refusal(
        self, task: ListPollTask, asked: Sequence[Held], result: PollResult, at: PollContext
    ) -> Sequence[Settled]:
        """Handle an answer without rows.

        A rate limit or a refused key applies to each job of the request. Any other failure may concern only the list:
        the jobs are then read by themselves, and if the provider itself is broken, their own answers show it.
        """
        if isinstance(result, Throttled | KeyRefused):
            at = await self._health_recorder.note(task.account, task.health, task.kind, result, at)
            settled = [await observe(self._services, each, result, at) for each in asked]
            return [each for each in settled if each is not None]
        stats = replace(task.granted.list_stats or ListStats(), useless_ms=at.now_ms)
        await self._services.store.account_stats.save_list(task.account, task.list, stats)
        for each in asked:  # also where a full store keeps nothing
            self._list_membership.note_missing(task.account, task.list, each.job.record.id, misses=MAX_MISSES)
        return [Settled(task.account, each.key, each.token, 0) for each in asked]

    async def _take_rows(
        self, task: ListPollTask, asked: Sequence[Held], page: Rows, answer: ListAnswer, at: PollContext
    ) -> Sequence[Settled]:
        await self._health_recorder.note_ok(task.account, task.health, task.kind)
        observed = await self._piggyback.observe_rows(task.account, task.kind, page, at, asked=asked)
        shown = {each.key for each in observed.shown}
        await self._record_response(task, answer, batched=max(0, len(shown) - 1))
        for each in observed.shown:
            self._list_membership.note_shown(task.account, task.list, each.job.record.id)
        await self._save_places(task, page, at)
        absent = [each for each in asked if each.key not in shown]
        for each in absent:
            self._list_membership.note_missing(task.account, task.list, each.job.record.id)
        if observed.incomplete and absent:  # these must not wait for the reads below
            await self._services.store.poll.settle(task.shard, _due_now(task.account, absent))
            absent = []
        await asyncio.gather(*(self._complete(task, each) for each in observed.incomplete))
        return _due_now(task.account, absent)

    async def _save_places(self, task: ListPollTask, page: Rows, at: PollContext) -> None:
        """Save where the list showed its watched jobs."""
        looked_for = [each.job.record.id for each in task.jobs]
        stats = note_page(
            task.granted.list_stats,
            offset=task.granted.request.offset,
            ids=[identifier for identifier, _ in page.rows],
            count=page.count,
            looked_for=looked_for,
            watched={*looked_for, *self._list_membership.ids(task.account, task.list)},
            now_ms=at.now_ms,
        )
        await self._services.store.account_stats.save_list(task.account, task.list, stats)

    async def _complete(self, task: ListPollTask, row: IncompleteRow) -> None:
        """Read a job whose row shows an ending incompletely; after ROW_WAIT_S its event is made from the row."""
        until_s = time.monotonic() + self._services.time_scale.ms(ROW_WAIT_S) / 1000
        lanes, account, seen, at = self._services.store.poll, task.account, row.seen, row.at
        async with self._reader.keep_leases(account, (row.held,)) as kept:
            whole = await self._read_until(task, row, until_s)
        (held,) = with_tokens((row.held,), kept)
        if whole is not None:
            seen = whole
            at = replace(at, now_ms=self._services.clock_ms(), digest=digest_of(whole.data), source="")
        elif seen.ending is None:
            # The row shows that the job ended, but not how, so that it must be read by itself.
            self._list_membership.note_missing(account, task.list, held.job.record.id, misses=MAX_MISSES)
            await lanes.settle(held.key[0], _due_now(account, (held,)))
            return
        settled = await self._piggyback.observe(held, seen, at)
        if settled:
            await lanes.settle(held.key[0], settled)

    async def _read_until(self, task: ListPollTask, row: IncompleteRow, until_s: float) -> Observation | None:
        """Read a row's job as soon as the budget grants it; return None if that fails or is too late."""
        bucket, job = task.granted.bucket, row.held.job.record
        wanted = BudgetRequest(bucket=bucket, wanted=(Purpose.SINGLE,))
        while True:
            (grant,) = await self._rate_budget.ask([wanted])
            left_s = until_s - time.monotonic()
            if grant.requests:
                break
            if left_s <= 0:
                return None
            await asyncio.sleep(min(grant.wait_ms / 1000, left_s))
        request = grant.requests[0]
        try:
            async with asyncio.timeout(max(left_s, MIN_READ_S)):
                answer = await self._reader.read_job(task.account, task.health.version, job)
        except TimeoutError:
            self._rate_budget.give_back(bucket, request)
            return None
        await self._rate_budget.record_response(
            bucket, request, answer.rate, answer.result, took_ms=answer.took_ms
        )
        await self._health_recorder.note(task.account, task.health, job.kind, answer.result, row.at)
        return answer.result.observation if isinstance(answer.result, Observed) else None


def _due_now(account: str, jobs: Sequence[Held]) -> list[Settled]:
    return [Settled(account, each.key, each.token, 0) for each in jobs]

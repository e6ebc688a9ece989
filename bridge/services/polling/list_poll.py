"""Pages: one list call for many jobs. What a row shows of a job goes the same way as its own read would."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.runs import has_ended
from bridge.domain.jobs.transition import quiet_until_ms
from bridge.domain.observation import KeyRefused, Observation, Observed, Throttled, Timing
from bridge.domain.polling.list_pages import ListStats, note_page
from bridge.domain.polling.rate_limit import Purpose
from bridge.http.upstream import ListAnswer
from bridge.providers.lists import Rows, RowSeen, read_row
from bridge.providers.registry import KINDS
from bridge.providers.spec import Lens
from bridge.services.accounts.rate_budget import BudgetRequest
from bridge.services.context import kind_traits
from bridge.services.jobs.observe import Held, observe, observe_unchanged
from bridge.services.polling.list_membership import MOST_LOOKS
from bridge.services.polling.piggyback import PiggybackJob, back_in_line, digest_of
from bridge.services.polling.planner import GrantedRequest
from bridge.services.polling.tools import PollTools
from bridge.store.queue.lanes import Settled
from bridge.store.tables.account_health import AccountHealth

ROW_WAIT_S = 5.0  # an ending that a row shows in part waits so long for the job's own read
LEAST_READ_S = 0.5  # a read that was granted in the last moment gets so long


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPollTask:
    """A granted page, and its account's health as loaded."""

    granted: GrantedRequest
    health: AccountHealth

    @property
    def account(self) -> str:
        """The account whose list it is."""
        return self.granted.bucket.account

    @property
    def held(self) -> tuple[Held, ...]:
        """The jobs that it is asked for."""
        return tuple(job.held for job in self.granted.jobs)

    @property
    def shard(self) -> str:
        """The shard of its account."""
        return self.held[0].key[0]

    @property
    def list(self) -> str:
        """The list that it is a page of."""
        return self.granted.request.list

    @property
    def kind(self) -> str:
        """What its rows are."""
        return self.held[0].job.record.kind


class ListPolls:
    """Reads pages of lists."""

    def __init__(self, tools: PollTools) -> None:
        self._tools = tools
        self._services = tools.services

    async def work(self, task: ListPollTask) -> Sequence[Settled]:
        """Read one page, and take each of its rows to its job."""
        begun_ms = self._services.clock_ms()
        async with self._tools.keep(task.account, task.held) as kept:
            answer = await self._read(task)
        asked = [replace(each, token=token) for each, token in zip(task.held, kept.tokens, strict=True)]
        at = PollContext(begun_ms=begun_ms, now_ms=self._services.clock_ms(), took_ms=answer.took_ms)
        if isinstance(answer.result, Rows):
            return await self._take_rows(task, asked, answer.result, answer, at)
        await self._record_response(task, answer, batched=0)
        return await self._take_refusal(task, asked, answer, at)

    async def _read(self, task: ListPollTask) -> ListAnswer:
        login = await self._tools.credentials.get(task.account, task.health.version)
        request = task.granted.request
        return await self._services.upstream.read_list(
            login,
            KINDS[task.kind],
            request.list,
            offset=request.offset,
            now_ms=self._services.clock_ms(),
        )

    async def _record_response(self, task: ListPollTask, answer: ListAnswer, *, batched: int) -> None:
        await self._tools.rate_budget.record_response(
            task.granted.bucket,
            task.granted.id,
            answer.rate,
            answer.result,
            took_ms=answer.took_ms,
            batched=batched,
        )

    async def _take_refusal(
        self, task: ListPollTask, asked: Sequence[Held], answer: ListAnswer, at: PollContext
    ) -> Sequence[Settled]:
        """A limit or a refused key meets each job that was asked for; any other trouble may be the list's own.

        Then the jobs are read by themselves, and if the upstream is in trouble, that tells.
        """
        result = answer.result
        if isinstance(result, Throttled | KeyRefused):
            at = await self._tools.notes.note(task.account, task.health, task.kind, result, at)
            settled = [await observe(self._services, each, result, at) for each in asked]
            return [each for each in settled if each is not None]
        seen = replace(task.granted.seen or ListStats(), useless_ms=at.now_ms)
        await self._services.store.account_stats.save_list(task.account, task.list, seen)
        for each in asked:  # also where a full store keeps nothing
            self._tools.list_membership.lose(task.account, task.list, each.job.record.id, looks=MOST_LOOKS)
        return [Settled(task.account, each.key, each.token, 0) for each in asked]

    async def _take_rows(
        self, task: ListPollTask, asked: Sequence[Held], page: Rows, answer: ListAnswer, at: PollContext
    ) -> Sequence[Settled]:
        shard, kind = asked[0].key[0], task.kind
        rows = _rows_by_key(shard, task, page)
        mine = {each.key for each in asked}
        passengers = await self._tools.piggyback.hold(
            shard, task.account, [key for key in rows if key not in mine], begun_ms=at.begun_ms
        )
        await self._tools.notes.note_ok(task.account, task.health, kind)
        here = [PiggybackJob(held=each, left_ms=0) for each in asked]
        shown = [passenger for passenger in (*here, *passengers) if passenger.held.key in rows]
        for passenger in shown:
            self._tools.list_membership.meet(task.account, task.list, passenger.held.job.record.id)
            self._tools.list_membership.find(task.account, task.list, passenger.held.job.record.id)
        await self._record_response(task, answer, batched=max(0, len(shown) - 1))
        await self._note_places(task, page, at)
        absent = [passenger for passenger in here if passenger.held.key not in rows]
        for passenger in absent:
            self._tools.list_membership.lose(task.account, task.list, passenger.held.job.record.id)
        settled: list[Settled] = [back_in_line(passenger) for passenger in absent]
        waiting: list[tuple[Held, Observation, PollContext]] = []
        for passenger in shown:
            row = rows[passenger.held.key]
            moment = replace(at, digest=digest_of(row), source="list")
            seen = self._understand(passenger.held, row, at)
            if seen is not None and _wants_its_own_read(passenger.held, seen):
                waiting.append((passenger.held, seen.observation, moment))
            else:
                settled += await self._take_row(passenger, seen, moment)
        if settled:
            await self._services.store.poll.settle(shard, settled)
        if waiting:
            await asyncio.gather(*(self._read_whole(task, *each) for each in waiting))
        return ()

    def _understand(self, held: Held, row: Mapping[str, Any], at: PollContext) -> RowSeen | None:
        job = held.job.record
        words = self._services.upstream.words
        lens = Lens(now_ms=at.now_ms, words=words, superseded=frozenset(job.superseded))
        return read_row(KINDS[job.kind], job.id, row, lens)

    async def _take_row(
        self, passenger: PiggybackJob, row: RowSeen | None, at: PollContext
    ) -> Sequence[Settled]:
        """Observe what a row shows; where it shows too little to change anything, it shows that the job goes on."""
        if row is None:
            return (back_in_line(passenger),)
        held = passenger.held
        forgets = row.hides_parts and bool(held.job.record.parts)
        if forgets or not row.is_whole or not row.names_parts:
            if not self._is_quiet(held, row.observation, at):
                return (
                    (back_in_line(passenger),) if passenger.left_ms else await self._as_it_is(held, row, at)
                )
            seen = Observed(observation=replace(row.observation, timing=_pace_of(held, row.observation)))
            return (observe_unchanged(self._services, held, seen, replace(at, digest=held.log.digest)),)
        settled = await self._tools.piggyback.observe(held, row.observation, at)
        if self._tools.piggyback.may_carry(held.job.record.account, held.job.record.kind):
            await self._tools.piggyback.carry_parts(held, row.observation, at)
        return settled

    async def _as_it_is(self, held: Held, row: RowSeen, at: PollContext) -> Sequence[Settled]:
        """Observe a row that shows less than a read would, its pace kept: it may not tell the media."""
        seen = replace(row.observation, timing=_pace_of(held, row.observation))
        return await self._tools.piggyback.observe(held, seen, at)

    def _is_quiet(self, held: Held, seen: Observation, at: PollContext) -> bool:
        """Say whether a row shows a job as it was, and nothing is due to be told of it."""
        job = held.job.record
        same = seen.status == job.status and seen.ending is None and held.log.polls > 0
        traits, scale = kind_traits(job.kind), self._services.time_scale
        return same and quiet_until_ms(job, held.log, traits=traits, scale=scale) > at.now_ms

    async def _note_places(self, task: ListPollTask, page: Rows, at: PollContext) -> None:
        before, ids = task.granted.seen, [identifier for identifier, _ in page.rows]
        looked_for = [each.job.record.id for each in task.held]
        watched = {*looked_for, *self._tools.list_membership.ids(task.account, task.list)}
        seen = note_page(
            before,
            offset=task.granted.request.offset,
            ids=ids,
            count=page.count,
            looked_for=looked_for,
            watched=watched,
            now_ms=at.now_ms,
        )
        await self._services.store.account_stats.save_list(task.account, task.list, seen)

    async def _read_whole(self, task: ListPollTask, held: Held, seen: Observation, at: PollContext) -> None:
        """Read a job whose row shows an end but not all of it; after a while the row goes out as it is."""
        until = time.monotonic() + self._services.time_scale.ms(ROW_WAIT_S) / 1000
        lanes, account = self._services.store.poll, task.account
        async with self._tools.keep(account, (held,)) as kept:
            whole = await self._ask_until(task, held, until, at)
        held = replace(held, token=kept.tokens[0])
        if whole is not None:
            seen = whole
            at = replace(at, now_ms=self._services.clock_ms(), digest=digest_of(whole.data), source="")
        elif seen.ending is None:
            # Its row tells of an end, but not which: nothing but its own read will do.
            self._tools.list_membership.lose(account, task.list, held.job.record.id, looks=MOST_LOOKS)
            await lanes.settle(held.key[0], [Settled(account, held.key, held.token, 0)])
            return
        settled = await self._tools.piggyback.observe(held, seen, at)
        if settled:
            await lanes.settle(held.key[0], settled)

    async def _ask_until(
        self, task: ListPollTask, held: Held, until: float, at: PollContext
    ) -> Observation | None:
        """Ask the budget for one read until it is granted or it is too late; give what the read showed."""
        bucket, job = task.granted.bucket, held.job.record
        while True:
            (grant,) = await self._tools.rate_budget.ask(
                [BudgetRequest(bucket=bucket, wanted=(Purpose.SINGLE,))]
            )
            left_s = until - time.monotonic()
            if grant.requests:
                break
            if left_s <= 0:
                return None
            await asyncio.sleep(min(grant.wait_ms / 1000, left_s))
        try:
            async with asyncio.timeout(max(left_s, LEAST_READ_S)):
                answer = await self._tools.read(task.account, task.health.version, job)
        except TimeoutError:
            self._tools.rate_budget.give_back(bucket, grant.requests[0])
            return None
        await self._tools.notes.note(task.account, task.health, job.kind, answer.result, at)
        await self._tools.rate_budget.record_response(
            bucket, grant.requests[0], answer.rate, answer.result, took_ms=answer.took_ms
        )
        return answer.result.observation if isinstance(answer.result, Observed) else None


def _rows_by_key(shard: str, task: ListPollTask, page: Rows) -> dict[str, Mapping[str, Any]]:
    """Give a page's rows by job key; what is listed twice shows nothing."""
    counted = Counter(identifier for identifier, _ in page.rows)
    return {
        job_key(shard, task.account, task.kind, identifier): row
        for identifier, row in page.rows
        if counted[identifier] == 1
    }


def _wants_its_own_read(held: Held, row: RowSeen) -> bool:
    """Say whether a row shows an end that has not been told, without all that belongs to it."""
    seen = row.observation
    speaks = seen.ending is not None or (row.hides_parts and seen.status in KINDS[held.job.record.kind].ends)
    return speaks and not row.is_whole and not has_ended(held.job.record)


def _pace_of(held: Held, seen: Observation) -> Timing:
    """Keep the pace in force: a row that shows little may not tell the media either."""
    log = held.log
    return Timing(interval_s=log.interval_s, timeout_s=log.timeout_s) if log.interval_s else seen.timing

"""Single reads: one request for one job, whose answer also speaks of the account, and of a post's items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.intervals import OUTAGE_RETRY_S
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import KeyRefused, KindForbidden, Observed, PollResult, Throttled
from bridge.http.upstream import KnownAnswer, PollAnswer
from bridge.services.accounts.account_health import auth_refusal_for
from bridge.services.jobs.observe import Held, observe, observe_unchanged
from bridge.services.jobs.unchanged import UnchangedAnswers
from bridge.services.polling.planner import GrantedRequest
from bridge.services.polling.tools import PollTools
from bridge.store.queue.lanes import Settled
from bridge.store.tables.account_health import AccountHealth

log = structlog.get_logger()

PROBE_AGE = 0.9  # of the time between two tries of a refused key: younger ones speak for every job


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePollTask:
    """A held job, its account's health as loaded, and the jobs of the account that wait for its answer.

    Followers exist while the account's key is refused: one read, which no budget grants, then speaks for all of them.
    """

    held: Held
    account: str
    health: AccountHealth
    followers: tuple[Held, ...] = ()
    granted: GrantedRequest | None = None

    @property
    def shard(self) -> str:
        """The shard of its account."""
        return self.held.key[0]


class SinglePolls:
    """Reads jobs by themselves."""

    def __init__(self, tools: PollTools) -> None:
        self._tools = tools
        self._services = tools.services
        self._unchanged_answers = UnchangedAnswers()
        self._log = log.bind()  # bound once: a lazy logger is made anew each time it is used

    async def work(self, task: SinglePollTask) -> Sequence[Settled]:
        """Read one job, or let the last try of a refused key speak for it."""
        begun_ms = self._services.clock_ms()
        job = task.held.job.record
        auth_refused, unchanged = auth_refusal_for(task.health, job.kind), None
        carries = self._tools.piggyback.may_carry(task.account, job.kind)
        if auth_refused and not await self._may_try(task, begun_ms):
            answer = PollAnswer(result=KeyRefused() if task.health.outage_ms else KindForbidden())
        else:
            if not carries:  # what carries others must be understood each time
                unchanged = self._unchanged_answers.find(
                    task.held.key, task.held.job, task.held.log, now_ms=begun_ms
                )
            task, answer = await self._read_held(task, unchanged)
        result = answer.result
        await self._record_response(task, answer)
        now_ms = self._services.clock_ms()
        at = PollContext(
            begun_ms=begun_ms,
            now_ms=now_ms,
            took_ms=answer.took_ms,
            digest=answer.digest,
            auth_refused=auth_refused,
        )
        at = await self._tools.notes.note(
            task.account, task.health, job.kind, result, at, key=task.held.key if job.seen else ""
        )
        for follower in task.followers:
            await self._follow(task, follower, result, at)
        self._log.debug("poll.read", kind=job.kind, result=type(result).__name__)
        if isinstance(result, Observed):
            self._tools.duration_estimates.note(
                job, task.held.log, at_ms=now_ms, ended=result.observation.ending is not None
            )
        least_ms = self._tools.piggyback.least_ms(task.held.key) if isinstance(result, Observed) else 0
        if (
            unchanged is not None
            and isinstance(result, Observed)
            and result is unchanged.result
            and not least_ms
        ):
            return (observe_unchanged(self._services, task.held, result, at),)
        settled = await observe(
            self._services,
            task.held,
            result,
            at,
            unchanged_answers=self._unchanged_answers,
            least_ms=least_ms,
        )
        if isinstance(result, Observed) and carries:
            await self._tools.piggyback.carry_parts(task.held, result.observation, at)
        return (settled,) if settled else ()

    async def _record_response(self, task: SinglePollTask, answer: PollAnswer) -> None:
        """Tell the budget; a probe of a refused key, which no budget granted, tells only of a 429."""
        budget, job = self._tools.rate_budget, task.held.job.record
        if task.granted is not None:
            bucket, request = task.granted.bucket, task.granted.id
            callbacks = sum(is_live(each) for each in job.callbacks)
        elif isinstance(answer.result, Throttled):
            bucket = await budget.bucket(task.account, task.health.version, job.kind)
            request, callbacks = "", 0
        else:
            return
        await budget.record_response(
            bucket,
            request,
            answer.rate,
            answer.result,
            took_ms=answer.took_ms,
            shared=max(0, callbacks - 1),
        )

    async def _may_try(self, task: SinglePollTask, now_ms: int) -> bool:
        """Say whether a refused key may be tried again: once an interval for the whole account."""
        every_ms = round(self._services.time_scale.ms(OUTAGE_RETRY_S) * PROBE_AGE)
        return await self._services.store.health.take_probe(task.account, now_ms, every_ms=every_ms)

    async def _read_held(
        self, task: SinglePollTask, known: KnownAnswer | None
    ) -> tuple[SinglePollTask, PollAnswer]:
        """Read, however slow the upstream is, and keep the leases meanwhile; give the task with those it has then."""
        held = (task.held, *task.followers)
        job = task.held.job.record
        async with self._tools.keep(task.account, held) as kept:
            answer = await self._tools.read(task.account, task.health.version, job, known=known)
        if kept.tokens[0] != task.held.token:
            first, *rest = [replace(each, token=token) for each, token in zip(held, kept.tokens, strict=True)]
            task = replace(task, held=first, followers=tuple(rest))
        return task, answer

    async def _follow(
        self, task: SinglePollTask, follower: Held, result: PollResult, at: PollContext
    ) -> None:
        """Apply a refusal to a job that waited for the probe; anything else lets it be read now."""
        if isinstance(result, KeyRefused | KindForbidden):
            settled = await observe(self._services, follower, result, replace(at, took_ms=0, digest=b""))
        else:
            settled = Settled(task.account, follower.key, follower.token, 0)
        if settled is not None:
            await self._services.store.poll.settle(follower.key[0], [settled])

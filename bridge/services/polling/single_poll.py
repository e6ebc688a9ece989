"""Poll one job with one request, whose answer may also show an account's health, and a post's items."""

from collections.abc import Sequence

import structlog
from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.intervals import OUTAGE_RETRY_S
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import Job
from bridge.domain.observation import KeyRefused, KindForbidden, Observed, PollResult, Throttled
from bridge.domain.polling.rate_limit import Bucket
from bridge.http.upstream import KnownAnswer, PollAnswer
from bridge.http.yielding import let_others_run
from bridge.services.accounts.account_health import AccountHealthRecorder, auth_refusal_for
from bridge.services.accounts.rate_budget import RateBudget
from bridge.services.context import Services
from bridge.services.duration_estimates import DurationEstimates
from bridge.services.jobs.observe import Held, observe, observe_unchanged
from bridge.services.jobs.unchanged import UnchangedAnswers
from bridge.services.polling.account_reader import AccountReader, with_tokens
from bridge.services.polling.piggyback import Piggyback
from bridge.services.polling.poll_requests import GrantedRequest
from bridge.store.queue.lanes import Settled
from bridge.store.tables.account_health import AccountHealth

log = structlog.get_logger()

# The part of OUTAGE_RETRY_S that must pass between two probes: not all of it, so that each round of retries gets one.
PROBE_SHARE = 0.9


class SinglePollTask(Struct, frozen=True, kw_only=True, gc=False):
    """A leased job, its account's health as loaded, and other jobs of the account that depend on its answer.

    There are followers only while the account's key is refused: one read, a probe outside of the budget, then decides
    for all of them.
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

    @property
    def jobs(self) -> tuple[Held, ...]:
        """The job and its followers."""
        return (self.held, *self.followers)


class SinglePolls:
    """Polls jobs one by one."""

    def __init__(
        self,
        services: Services,
        *,
        reader: AccountReader,
        rate_budget: RateBudget,
        health_recorder: AccountHealthRecorder,
        duration_estimates: DurationEstimates,
        piggyback: Piggyback,
    ) -> None:
        self._services = services
        self._reader = reader
        self._rate_budget = rate_budget
        self._health_recorder = health_recorder
        self._duration_estimates = duration_estimates
        self._piggyback = piggyback
        self._unchanged_answers = UnchangedAnswers()
        self._log = log.bind()  # bound once, because structlog's lazy proxy builds a logger at each use

    async def poll(self, task: SinglePollTask) -> Sequence[Settled]:
        """Read one job, or apply the last probe of a refused key to it; return what is left to settle."""
        begun_ms = self._services.clock_ms()
        job = task.held.job.record
        auth_refused, unchanged = auth_refusal_for(task.health, job.kind), None
        shows_others = self._piggyback.may_show_watched(task.account, job.kind)
        if auth_refused and not await self._may_probe(task, begun_ms):
            answer = PollAnswer(result=KeyRefused() if task.health.outage_ms else KindForbidden())
        else:
            if not shows_others:  # an answer that shows other jobs must be parsed each time
                unchanged = self._unchanged_answers.find(
                    task.held.key, task.held.job, task.held.log, now_ms=begun_ms
                )
            task, answer = await self._read(task, unchanged)
            await let_others_run()
        result = answer.result
        if task.granted is None or isinstance(result, Throttled):
            await self._record_alarm(task, answer)
        else:
            self._note_response(task.granted, job, answer)
        at = PollContext(
            begun_ms=begun_ms,
            now_ms=self._services.clock_ms(),
            took_ms=answer.took_ms,
            digest=answer.digest,
            auth_refused=auth_refused,
        )
        if auth_refused or not (isinstance(result, Observed) and task.health.well):
            seen_key = task.held.key if job.seen else ""
            at = await self._health_recorder.note(
                task.account, task.health, job.kind, result, at, key=seen_key
            )
        for follower in task.followers:
            await self._settle_follower(task, follower, result, at)
        self._log.debug("poll.read", job=task.held.key, kind=job.kind, result=type(result).__name__)
        if isinstance(result, Observed):
            return await self._observe(task.held, result, at, unchanged=unchanged, shows_others=shows_others)
        settled = await observe(self._services, task.held, result, at)
        return (settled,) if settled else ()

    async def _observe(
        self,
        held: Held,
        result: Observed,
        at: PollContext,
        *,
        unchanged: KnownAnswer | None,
        shows_others: bool,
    ) -> Sequence[Settled]:
        """Apply an observation to its job, and to the watched items of a post."""
        seen = result.observation
        self._duration_estimates.note(
            held.job.record, held.log, at_ms=at.now_ms, ended=seen.ending is not None
        )
        min_wait_ms = self._piggyback.min_wait_ms(held.key)
        if unchanged is not None and result is unchanged.result and not min_wait_ms:
            return (observe_unchanged(self._services, held, result, at),)
        settled = await observe(
            self._services,
            held,
            result,
            at,
            unchanged_answers=self._unchanged_answers,
            least_ms=min_wait_ms,
        )
        if shows_others:
            await self._piggyback.observe_parts(held, seen, at)
        return (settled,) if settled else ()

    def _note_response(self, granted: GrantedRequest, job: Job, answer: PollAnswer) -> None:
        """Report an answer to the budget that granted its request."""
        self._rate_budget.note_response(
            granted.bucket,
            granted.id,
            answer.rate,
            answer.result,
            took_ms=answer.took_ms,
            shared=_count_shared(job),
        )

    async def _record_alarm(self, task: SinglePollTask, answer: PollAnswer) -> None:
        """Report a 429 to the budget at once; of a probe, which no budget granted, any other answer is not its concern."""
        if not isinstance(answer.result, Throttled):
            return
        job, granted = task.held.job.record, task.granted
        if granted is None:
            bucket, request, shared = await self._find_bucket(task), "", 0
        else:
            bucket, request, shared = granted.bucket, granted.id, _count_shared(job)
        await self._rate_budget.record_response(
            bucket, request, answer.rate, answer.result, took_ms=answer.took_ms, shared=shared
        )

    async def _find_bucket(self, task: SinglePollTask) -> Bucket:
        return await self._rate_budget.bucket(task.account, task.health.version, task.held.job.record.kind)

    async def _may_probe(self, task: SinglePollTask, now_ms: int) -> bool:
        """Return whether a refused key may be tried now, which is allowed once per interval for the whole account."""
        every_ms = round(self._services.time_scale.ms(OUTAGE_RETRY_S) * PROBE_SHARE)
        return await self._services.store.health.take_probe(task.account, now_ms, every_ms=every_ms)

    async def _read(
        self, task: SinglePollTask, known: KnownAnswer | None
    ) -> tuple[SinglePollTask, PollAnswer]:
        """Read a task's job; return the task with the leases that it has afterwards."""
        async with self._reader.keep_leases(task.account, task.jobs) as kept:
            answer = await self._reader.read_job(
                task.account, task.health.version, task.held.job.record, known=known
            )
        if kept.tokens[0] != task.held.token:
            first, *rest = with_tokens(task.jobs, kept)
            task = replace(task, held=first, followers=tuple(rest))
        return task, answer

    async def _settle_follower(
        self, task: SinglePollTask, follower: Held, result: PollResult, at: PollContext
    ) -> None:
        """Apply a refusal to a follower; after any other answer make it due now."""
        if isinstance(result, KeyRefused | KindForbidden):
            settled = await observe(self._services, follower, result, replace(at, took_ms=0, digest=b""))
        else:
            settled = Settled(task.account, follower.key, follower.token, 0)
        if settled is not None:
            await self._services.store.poll.settle(follower.key[0], [settled])


def _count_shared(job: Job) -> int:
    """Return how many reads a job's other callbacks would have cost by themselves."""
    return max(0, len(list_live_callbacks(job)) - 1)

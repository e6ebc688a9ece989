"""Single reads: one request for one job, whose answer also speaks of the account, and of a post's items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.intervals import OUTAGE_RETRY_S
from bridge.domain.jobs.outcome import Moment
from bridge.domain.observation import Forbidden, Reading, Refused, Seen
from bridge.http.upstream import Answer, Known
from bridge.services.accounts.account_health import outage_for
from bridge.services.jobs.observe import Held, observe, observe_echo
from bridge.services.jobs.unchanged import Echoes
from bridge.services.polling.planner import Granted
from bridge.services.polling.tools import PollTools
from bridge.store.queue.lanes import Settled
from bridge.store.tables.account_health import AccountHealth

log = structlog.get_logger()

PROBE_AGE = 0.9  # of the time between two tries of a refused key: younger ones speak for every job


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTask:
    """A held job, its account's health as loaded, and the jobs of the account that wait for its answer.

    Followers exist while the account's key is refused: one read, which no budget grants, then speaks for all of them.
    """

    held: Held
    account: str
    health: AccountHealth
    followers: tuple[Held, ...] = ()
    granted: Granted | None = None

    @property
    def shard(self) -> str:
        """The shard of its account."""
        return self.held.key[0]


class SingleReads:
    """Reads jobs by themselves."""

    def __init__(self, tools: PollTools) -> None:
        self._tools = tools
        self._services = tools.services
        self._echoes = Echoes()
        self._log = log.bind()  # bound once: a lazy logger is made anew each time it is used

    async def work(self, task: ReadTask) -> Sequence[Settled]:
        """Read one job, or let the last try of a refused key speak for it."""
        begun_ms = self._services.clock_ms()
        job = task.held.job.record
        outage, echo = outage_for(task.health, job.kind), None
        carries = self._tools.riding.may_carry(task.account, job.kind)
        if outage and not await self._may_try(task, begun_ms):
            answer = Answer(reading=Refused() if task.health.outage_ms else Forbidden())
        else:
            if not carries:  # what carries others must be understood each time
                echo = self._echoes.find(task.held.key, task.held.job, task.held.log, now_ms=begun_ms)
            task, answer = await self._read_held(task, echo)
        reading = answer.reading
        self._hear(task, answer)
        now_ms = self._services.clock_ms()
        at = Moment(
            begun_ms=begun_ms, now_ms=now_ms, took_ms=answer.took_ms, digest=answer.digest, outage=outage
        )
        at = await self._tools.notes.note(
            task.account, task.health, job.kind, reading, at, key=task.held.key if job.seen else ""
        )
        for follower in task.followers:
            await self._follow(task, follower, reading, at)
        self._log.debug("poll.read", kind=job.kind, reading=type(reading).__name__)
        if isinstance(reading, Seen):
            self._tools.evidence.note(
                job, task.held.log, at_ms=now_ms, ended=reading.observation.ending is not None
            )
        least_ms = self._tools.riding.least_ms(task.held.key) if isinstance(reading, Seen) else 0
        if echo is not None and isinstance(reading, Seen) and reading is echo.reading and not least_ms:
            return (observe_echo(self._services, task.held, reading, at),)
        settled = await observe(
            self._services, task.held, reading, at, echoes=self._echoes, least_ms=least_ms
        )
        if isinstance(reading, Seen) and carries:
            await self._tools.riding.carry_parts(task.held, reading.observation, at)
        return (settled,) if settled else ()

    def _hear(self, task: ReadTask, answer: Answer) -> None:
        if task.granted is None:
            return
        callbacks = sum(is_live(each) for each in task.held.job.record.callbacks)
        self._tools.spending.hear(
            task.granted.purse,
            task.granted.id,
            answer.rate,
            answer.reading,
            took_ms=answer.took_ms,
            shared=max(0, callbacks - 1),
        )

    async def _may_try(self, task: ReadTask, now_ms: int) -> bool:
        """Say whether a refused key may be tried again: once an interval for the whole account."""
        every_ms = round(self._services.pace.ms(OUTAGE_RETRY_S) * PROBE_AGE)
        return await self._services.store.health.take_probe(task.account, now_ms, every_ms=every_ms)

    async def _read_held(self, task: ReadTask, known: Known | None) -> tuple[ReadTask, Answer]:
        """Read, however slow the upstream is, and keep the leases meanwhile; give the task with those it has then."""
        held = (task.held, *task.followers)
        job = task.held.job.record
        async with self._tools.keep(task.account, held) as kept:
            answer = await self._tools.read(task.account, task.health.version, job, known=known)
        if kept.tokens[0] != task.held.token:
            first, *rest = [replace(each, token=token) for each, token in zip(held, kept.tokens, strict=True)]
            task = replace(task, held=first, followers=tuple(rest))
        return task, answer

    async def _follow(self, task: ReadTask, follower: Held, reading: Reading, at: Moment) -> None:
        """Apply a refusal to a job that waited for the probe; anything else lets it be read now."""
        if isinstance(reading, Refused | Forbidden):
            settled = await observe(self._services, follower, reading, replace(at, took_ms=0, digest=b""))
        else:
            settled = Settled(task.account, follower.key, follower.token, 0)
        if settled is not None:
            await self._services.store.poll.settle(follower.key[0], [settled])

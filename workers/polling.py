"""Polling: reads due jobs from their upstream, one request each, and lets the use case decide what it means."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.domain.cadence import MASS_VANISH, OUTAGE_RETRY_S
from bridge.domain.news import Moment
from bridge.domain.reading import Forbidden, Limited, Missing, Odd, Reading, Refused, Seen
from bridge.providers.registry import KINDS
from bridge.services.context import Services
from bridge.services.echoes import Echoes
from bridge.services.logins import Logins
from bridge.services.progress import Held, observe, observe_echo
from bridge.services.reads import NO_LOG
from bridge.services.wellness import Wellness
from bridge.store.health import AccountHealth
from bridge.store.lanes import Claim, Item, Settled
from bridge.store.records import Wanted
from bridge.upstream import Answer, Known
from workers.leases import KeptLeases

log = structlog.get_logger()

RENEW_S = 2.0  # less than a lease that has waited for a slot still lasts
CAP = 16  # requests of one account in flight
PROBE_AGE = 0.9  # of the time between two tries of a refused key: younger ones speak for every job


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTask:
    """A held job, its account's health as loaded, and the jobs of the account that wait for its answer.

    Followers exist while the account's key is refused: one read then speaks for all of them.
    """

    held: Held
    account: str
    health: AccountHealth
    followers: tuple[Held, ...] = ()


class Polling:
    """The pump's handler for the poll queue: a lane is an account, a member a job's key."""

    lease_ms = 8_000  # so soon a dead worker's jobs are read again and its places in the account are free

    def __init__(self, services: Services) -> None:
        self._services = services
        self._logins = Logins(services)
        self._echoes = Echoes()
        self._wellness = Wellness(services.store.health)
        self._log = log.bind()  # bound once: a lazy logger is made anew each time it is used

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Give every account a few requests in flight."""
        del shard
        return [(lane, CAP) for lane in lanes]

    async def load(self, shard: str, claim: Claim) -> tuple[list[PollTask], list[Settled]]:
        """Load a page's jobs, logs and accounts; a job without a record leaves the queue."""
        del shard
        keys = [item.member for item in claim.items]
        page, health = await asyncio.gather(
            self._services.store.load_many(Wanted(jobs=keys, logs=keys)),
            self._wellness.load_many(item.lane for item in claim.items),
        )
        tasks: list[PollTask] = []
        gone: list[Settled] = []
        for item in claim.items:
            job, poll_log = page.jobs.get(item.member), page.logs.get(item.member)
            if job is None:
                gone.append(_settle(item, claim.token, None))
                continue
            held = Held(
                key=item.member, token=claim.token, job=job, log=poll_log.record if poll_log else NO_LOG
            )
            tasks.append(PollTask(held=held, account=item.lane, health=health[item.lane]))
        return _gather_refused(tasks), gone

    def give_back(self, task: PollTask) -> Settled:
        """Let another worker take the job now."""
        return Settled(task.account, task.held.key, task.held.token, 0)

    def leave(self, task: PollTask) -> None:
        """Nothing is counted here."""

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """A read whose lease had ended changes nothing: the job was read again by its new holder."""

    async def work(self, task: PollTask) -> Settled | None:
        """Read one job, or let the last try of a refused key speak for it."""
        begun_ms = self._services.clock_ms()
        outage, echo = _outage_of(task), None
        if outage and not await self._may_try(task, begun_ms):
            answer = Answer(reading=Refused() if task.health.outage_ms else Forbidden())
        else:
            echo = self._echoes.find(task.held.key, task.held.job, task.held.log, now_ms=begun_ms)
            task, answer = await self._read_held(task, echo)
        at = Moment(
            begun_ms=begun_ms,
            now_ms=self._services.clock_ms(),
            took_ms=answer.took_ms,
            digest=answer.digest,
            outage=outage,
        )
        at = await self._note(task, answer, at)
        for follower in task.followers:
            await self._follow(task, follower, answer.reading, at)
        self._log.debug("poll.read", kind=task.held.job.record.kind, reading=type(answer.reading).__name__)
        if echo is not None and answer.reading is echo.reading:
            return observe_echo(self._services, task.held, echo.reading, at)
        return await observe(self._services, task.held, answer.reading, at, echoes=self._echoes)

    async def _may_try(self, task: PollTask, now_ms: int) -> bool:
        """Say whether a refused key may be tried again: once an interval for the whole account."""
        every_ms = round(self._services.pace.ms(OUTAGE_RETRY_S) * PROBE_AGE)
        return await self._services.store.health.take_probe(task.account, now_ms, every_ms=every_ms)

    async def _read_held(self, task: PollTask, known: Known | None) -> tuple[PollTask, Answer]:
        """Read, however slow the upstream is, and keep the leases meanwhile; give the task with those it has then."""
        held = (task.held, *task.followers)
        async with KeptLeases(
            self._services.store.poll,
            task.held.key[0],
            task.account,
            [(each.key, each.token) for each in held],
            lease_ms=self.lease_ms,
            every_s=RENEW_S,
        ) as kept:
            answer = await self._read(task, known)
        if kept.tokens[0] != task.held.token:
            first, *rest = [replace(each, token=token) for each, token in zip(held, kept.tokens, strict=True)]
            task = replace(task, held=first, followers=tuple(rest))
        return task, answer

    async def _read(self, task: PollTask, known: Known | None) -> Answer:
        job = task.held.job.record
        login = await self._logins.get(task.account, task.health.version)
        return await self._services.upstream.read(
            login,
            KINDS[job.kind],
            job.id,
            now_ms=self._services.clock_ms(),
            superseded=frozenset(job.superseded),
            known=known,
        )

    async def _follow(self, task: PollTask, follower: Held, reading: Reading, at: Moment) -> None:
        """Apply a refusal to a job that waited for the probe; anything else lets it be read now."""
        if isinstance(reading, Refused | Forbidden):
            settled = await observe(self._services, follower, reading, replace(at, took_ms=0, digest=b""))
        else:
            settled = Settled(task.account, follower.key, follower.token, 0)
        if settled is not None:
            await self._services.store.poll.settle(follower.key[0], [settled])

    async def _note(self, task: PollTask, answer: Answer, at: Moment) -> Moment:
        """Keep what an answer says of the whole account: refusals, recoveries, limits, a crowd vanishing."""
        health, job = self._services.store.health, task.held.job.record
        match answer.reading:
            case Refused():
                self._wellness.forget(task.account)
                await health.note_refused(task.account, at.now_ms, begun_ms=at.begun_ms)
                return await self._name_outage(task, at)
            case Forbidden():
                self._wellness.forget(task.account)
                await health.note_forbidden(task.account, job.kind, at.now_ms, begun_ms=at.begun_ms)
                return await self._name_outage(task, at)
            case Limited(until_ms=until_ms):
                await self._quiet(task, until_ms - at.now_ms)
            case Missing() if job.seen:
                window_ms = self._services.pace.ms(OUTAGE_RETRY_S)
                gone = await health.note_vanished(task.account, task.held.key, at.now_ms, window_ms)
                at = replace(at, vanishing=gone >= MASS_VANISH)
            case Seen() | Missing() | Odd() if not task.health.well:
                if await health.note_ok(task.account, job.kind):
                    await self._services.store.poll.unblock(task.held.key[0], task.account, due_all=True)
        if answer.rate.remaining == 0 and answer.rate.reset_ms:
            await self._quiet(task, answer.rate.reset_ms - at.now_ms)
        return replace(at, outage="") if at.outage else at

    async def _name_outage(self, task: PollTask, at: Moment) -> Moment:
        """Name the refusal as it stands after this answer, empty while it is only suspected."""
        health = await self._services.store.health.load(task.account)
        return replace(at, outage=outage_for(health, task.held.job.record.kind))

    async def _quiet(self, task: PollTask, for_ms: int) -> None:
        """Let the whole account sleep until its limit's window ends."""
        if for_ms > 0:
            await self._services.store.poll.block(task.held.key[0], task.account, for_ms=for_ms)


def _settle(item: Item, token: bytes, delay_ms: int | None) -> Settled:
    return Settled(item.lane, item.member, token, delay_ms)


def _outage_of(task: PollTask) -> str:
    return outage_for(task.health, task.held.job.record.kind)


def outage_for(health: AccountHealth, kind: str) -> str:
    """Name the confirmed refusal that stops reads of a kind, empty without one."""
    if health.outage_ms:
        return f"401:{health.outage_ms}"
    return f"403:{health.forbidden[kind]}" if kind in health.forbidden else ""


def _gather_refused(tasks: Sequence[PollTask]) -> list[PollTask]:
    """Put the jobs that one refusal stops behind one of them, so that a page costs one try of the key."""
    leaders: dict[tuple[str, str], PollTask] = {}
    free: list[PollTask] = []
    for task in tasks:
        outage = _outage_of(task)
        if not outage:
            free.append(task)
            continue
        leader = leaders.get((task.account, outage))
        place = (task.account, outage)
        leaders[place] = replace(leader, followers=(*leader.followers, task.held)) if leader else task
    return [*free, *leaders.values()]

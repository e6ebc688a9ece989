"""Find out what became of starts whose answer was lost, and register what is still to be registered.

Nothing is ever sent again. A look is claimed by writing the record before it, so that of several workers, and of the
repetitions of a call, one looks.
"""

import asyncio
import json
from uuid import UUID

import structlog
from msgspec.structs import replace

from bridge.domain.starts.evidence import LookResult
from bridge.domain.starts.looks import (
    DOUBT_LOOKS_S,
    OWNER_CHECK_MS,
    is_late_over,
    next_doubt_look_ms,
    next_late_look_ms,
)
from bridge.domain.starts.records import TRANSITIONS, Start, StartedJob, StartState
from bridge.providers.registry import PROVIDERS, find_rule
from bridge.providers.start_evidence import StartEvidence, Trace
from bridge.services.accounts.account_reads import NotReadNow
from bridge.services.context import Services
from bridge.services.jobs.registration import release_holds
from bridge.services.starts.conclude import conclude
from bridge.services.starts.evidence import find_started
from bridge.services.starts.guard import is_owned, write_doubt
from bridge.services.starts.sealing import StartAnswer, seal_answer
from bridge.store.records import Loaded
from bridge.store.tables.accounts import Account
from bridge.store.unit_of_work import UnitOfWork, retrying

AT_ONCE = 64
LOOK_EVERY_MS = 2_000  # at most, however often a call is repeated
log = structlog.get_logger()


async def sweep(services: Services, shard: str) -> int:
    """Look at the open starts of a shard that are due; return how many there were."""
    now_ms = services.clock_ms()
    due = await services.store.starts.load_due(shard, now_ms=now_ms, count=AT_ONCE)
    results = await asyncio.gather(
        *(attend(services, place, loaded) for place, loaded in due.items()), return_exceptions=True
    )
    for place, result in zip(due, results, strict=True):
        if isinstance(result, BaseException):
            log.warning("starts.not_looked_at", place=place, error=type(result).__name__)
    failed = [place for place, result in zip(due, results, strict=True) if isinstance(result, BaseException)]
    await services.store.starts.postpone(failed, now_ms + OWNER_CHECK_MS)
    return len(due)


async def attend(services: Services, place: str, loaded: Loaded[Start] | None) -> None:
    """Do what an open start needs now."""
    if loaded is None:
        await services.store.starts.close(place)
        return
    start = loaded.record
    match start.state:
        case StartState.INTENT if await is_owned(services, start):
            await services.store.starts.postpone([place], services.clock_ms() + OWNER_CHECK_MS)
        case StartState.INTENT:
            await write_doubt(services, place, start.token)
        case StartState.DOUBT if not start.jobs:
            await look(services, place, loaded)
        case _ if start.jobs:
            repaired = await conclude(services, place, lambda now: now if now.pending else None)
            release_holds(services, repaired.registered)
        case _:
            await look(services, place, loaded)


async def look_again(services: Services, place: str, *, until: float = 0.0) -> None:
    """Look for what an uncertain start began, unless somebody has just done so.

    Where the account's budget grants no request now, wait for it until `until`, by the loop's clock.
    """
    loop = asyncio.get_running_loop()
    while True:
        loaded = await services.store.starts.load(place)
        if loaded is None or loaded.record.state is not StartState.DOUBT:
            return
        if services.clock_ms() - loaded.record.look_ms < LOOK_EVERY_MS:
            return
        wait_s = await look(services, place, loaded, in_turn=False) / 1000
        if not wait_s or loop.time() + wait_s > until:
            return
        await asyncio.sleep(wait_s)


async def look(services: Services, place: str, loaded: Loaded[Start], *, in_turn: bool = True) -> int:
    """Look once for what a start began, whose outcome or whose job is not known, and write down what was found.

    `in_turn`: it is one of the looks that are made anyway; others leave those as they are. Return 0, or after how many
    milliseconds to look again where nothing could be read: that was no look then.
    """
    account = await services.store.accounts.get(loaded.record.account)
    claimed = await _claim(services, place, loaded, in_turn=in_turn)
    if claimed is None or account is None:
        return 0
    evidence = PROVIDERS[account.provider].start_evidence.get(claimed.rule)
    wait_ms = 0
    if evidence is not None:
        try:
            await _look_for(services, place, claimed, account, evidence)
        except NotReadNow as wait:
            wait_ms = wait.wait_ms
            if wait_ms:
                await _put_off(services, place, claimed, loaded.record, wait, in_turn=in_turn)
    now_ms = services.clock_ms()
    if claimed.state is StartState.DOUBT:
        is_over = in_turn and not wait_ms and claimed.looks >= len(DOUBT_LOOKS_S)
    else:
        is_over = is_late_over(claimed, scale=services.time_scale, now_ms=now_ms)
    if is_over:
        await _give_up(services, place, account.provider)
    return wait_ms


async def _claim(services: Services, place: str, loaded: Loaded[Start], *, in_turn: bool) -> Start | None:
    """Note that a look begins, and when the next one is; return None if somebody else was first."""
    unit = services.unit_of_work(place[0])
    claimed = replace(loaded.record, looks=loaded.record.looks + in_turn, look_ms=unit.now_ms)
    unit.put_start(place, claimed, loaded)
    if in_turn:
        next_ms = next_doubt_look_ms if claimed.state is StartState.DOUBT else next_late_look_ms
        unit.look_at(place, next_ms(claimed, scale=services.time_scale, now_ms=unit.now_ms))
    return claimed if await services.store.committer.commit(unit.change()) == "done" else None


async def _put_off(
    services: Services, place: str, claimed: Start, before: Start, wait: NotReadNow, *, in_turn: bool
) -> None:
    """Take back what `_claim` noted, unless the record has changed since; a look in turn is due when the wait is over.

    A request that was sent in vain stays noted, so that repetitions of a call do not send many.
    """

    async def stage() -> tuple[UnitOfWork | None, None]:
        loaded = await services.store.starts.load(place)
        if loaded is None or loaded.record != claimed:
            return None, None
        unit = services.unit_of_work(place[0])
        look_ms = claimed.look_ms if wait.was_asked else before.look_ms
        unit.put_start(place, replace(claimed, looks=before.looks, look_ms=look_ms), loaded)
        if in_turn:
            unit.look_at(place, unit.now_ms + wait.wait_ms)
        return unit, None

    await retrying(services.store.committer, stage)


async def _look_for(
    services: Services, place: str, start: Start, account: Account, evidence: StartEvidence
) -> None:
    """Look for what a start began; raise NotReadNow where that cannot be done now."""
    seen = await find_started(services, place, start, account, evidence)
    if not seen.certain:
        await _note_found(services, place, start, seen)
        return
    is_rerun = evidence.trace is Trace.NEW_RUN
    expect = "new_run" if is_rerun else "any"
    job = StartedJob(evidence.kind.name, seen.certain, start.persona, expect=expect)
    rebuilt = _rebuild(services, place, evidence, seen.certain) if start.keyed else None
    finished = await conclude(
        services, place, lambda now: _with_job(now, start, job, rebuilt), alone=not is_rerun
    )
    release_holds(services, finished.registered)  # the answer went out long ago
    log.info("starts.found", place=place, rule=start.rule, pending=finished.pending)


async def _note_found(services: Services, place: str, start: Start, seen: LookResult) -> None:
    """Write down what may be the start's, unless the record has changed since the look began."""

    async def stage() -> tuple[UnitOfWork | None, None]:
        loaded = await services.store.starts.load(place)
        if loaded is None or loaded.record != start or start.found == seen.candidates:
            return None, None
        unit = services.unit_of_work(place[0])
        unit.put_start(place, replace(start, found=seen.candidates), loaded)
        return unit, None

    await retrying(services.store.committer, stage)


def _with_job(now: Start, start: Start, job: StartedJob, rebuilt: bytes | None) -> Start | None:
    """Return the record with the job that was found, None if it has changed since the look began."""
    if now.state is not start.state or now.jobs != start.jobs:
        return None
    now = replace(now, registered=())  # what it was given up with, if it was, is another job's
    if StartState.REBUILT in TRANSITIONS[now.state]:
        ended_ms = now.look_ms  # from then on it is kept as an answer is
        return replace(
            now, state=StartState.REBUILT, answer=rebuilt, jobs=(job,), found=(), ended_ms=ended_ms
        )
    return replace(now, jobs=(job,), found=())


def _rebuild(services: Services, place: str, evidence: StartEvidence, identifier: str) -> bytes | None:
    """Return the documented answer that names the job, sealed; None where no answer is documented."""
    if evidence.rebuild is None:
        return None
    status, body = evidence.rebuild(identifier)
    fields = ((b"Content-Type", b"application/json"),)
    answer = StartAnswer(status, fields, json.dumps(body).encode())
    return seal_answer(services.store.vault, place, answer)


async def _give_up(services: Services, place: str, provider: str) -> None:
    """Register what would tell that a start was done after all, so that its callback hears an end of it.

    That is the object that the start runs or publishes; where it would have made one, an id that nothing has, whose
    callback ends `not_found`. One that nobody can repeat is forgotten.
    """

    def decide(now: Start) -> Start | None:
        is_open = (now.state is StartState.DOUBT or now.pending) and (now.webhook or not now.keyed)
        return None if now.jobs or not is_open else replace(now, jobs=(_stand_in(now, place, provider),))

    given_up = await conclude(services, place, decide)
    release_holds(services, given_up.registered)
    log.warning("starts.given_up", place=place)


def _stand_in(start: Start, place: str, provider: str) -> StartedJob:
    rule = find_rule(provider, start.rule)
    if start.subject and not rule.about_field:
        return StartedJob(rule.kind, start.subject, expect="new_run" if rule.reruns else "any")
    return StartedJob(rule.kind, str(UUID(place[1:])))

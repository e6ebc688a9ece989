"""Register callbacks: job, callback and first poll are written in one step, and are on disk before the answer."""

import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Sequence

import structlog
from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.groups.begin import begin_group
from bridge.domain.ids import callback_id, job_key, read_request_id
from bridge.domain.jobs.baseline import apply_baseline
from bridge.domain.jobs.callbacks import find_callback, list_dropped_callbacks
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.registration import (
    RegistrationResult,
    find_repeated,
    list_notified,
    new_job,
)
from bridge.domain.subscriptions.callback import Callback
from bridge.errors import Unavailable
from bridge.services.accounts.budget_view import next_turns_ms
from bridge.services.accounts.manage import choose_account
from bridge.services.context import Services, clock_of
from bridge.services.jobs.registration_case import RegisterCallback, RegistrationCase, add_callback
from bridge.services.quota import check_bytes, check_jobs
from bridge.store.errors import StoreFull, StoreNotDurable, WriteConflict
from bridge.store.records import Wanted
from bridge.store.registration_reads import RegistrationPage
from bridge.store.tables.accounts import Account
from bridge.store.tables.idempotency import DAY_MS
from bridge.store.unit_of_work import UnitOfWork, retrying

HOLD_MS = 15_000  # longer than a slow disk may delay the answer
STORE_FULL_RETRY_S = 30.0
RELEASE_AFTER_MS = 1_000  # first deliveries start this long after the answer
JOBS_AT_ONCE = 50  # of one request: what is decided on in one turn of the event loop
LOGGED = 20  # callbacks that one line names
REQUEST_BYTES = 5  # as many as a callback's id has
TRIES = 40  # of writing while others register for the same job, which takes some seconds
BUSY_RETRY_S = 1.0
CALLBACK_SHOWN = 600  # bytes of a callback in an answer, beside its URL
log = structlog.get_logger()


class Registered(Struct, frozen=True, kw_only=True):
    """A registration that is on disk; `updated` if the callback existed before."""

    job: Job
    callback: Callback
    updated: bool
    next_poll_ms: int | None = None


async def register(
    services: Services, project: str, commands: Sequence[RegisterCallback]
) -> list[Registered]:
    """Register all commands or none; they are durable when this returns.

    Raise ValidationFailed, RateLimited (too many jobs or callbacks) or Unavailable (store full or slow, or too many
    registrations for one job at once).
    """
    account = await choose_account(services, project, commands[0].kind, commands[0].account)
    shard = services.store.shard_of(account.id)
    made: set[str] = set()  # callbacks of earlier tries

    async def stage() -> tuple[UnitOfWork, list[Registered]]:
        unit = services.unit_of_work(shard)
        staged = await stage_registrations(services, unit, account, commands)
        # A try whose answer was lost on the way is made again, and finds what it has written: that is no update.
        own = [replace(each, updated=each.updated and each.callback.id not in made) for each in staged]
        made.update(each.callback.id for each in own if not each.updated)
        return unit, own

    try:
        made_now = await retrying(services.store.committer, stage, tries=TRIES, new_work=True, durable=True)
    except WriteConflict:
        raise Unavailable(
            "too many registrations for the same job at once: nothing was registered, repeat this one",
            retry_after_s=BUSY_RETRY_S,
        ) from None
    except StoreFull:
        raise Unavailable(
            "the store is full: nothing was registered, try again later", retry_after_s=STORE_FULL_RETRY_S
        ) from None
    except StoreNotDurable:
        raise Unavailable(
            "the disk is too slow to confirm the registration: repeat it, it is not doubled"
        ) from None
    log_registered(project, commands[0].kind, [each.callback.id for each in made_now])
    return made_now


def log_registered(project: str, kind: str, callbacks: Sequence[str]) -> None:
    """Log what a request has registered, under the id that the lines of its deliveries have too."""
    log.info(
        "callback.registered",
        request_id=read_request_id(callbacks[0]),
        project=project,
        kind=kind,
        callbacks=list(callbacks[:LOGGED]),
        count=len(callbacks),
    )


async def stage_registrations(
    services: Services, unit: UnitOfWork, account: Account, commands: Sequence[RegisterCallback]
) -> list[Registered]:
    """Add all commands to a unit of work on the account's shard; they are made when it is committed.

    Raise RateLimited (too many jobs or callbacks) or PayloadTooLarge.
    """
    staged: list[tuple[str, Registered]] = []
    # One draw for all, so that logs can tell which belong to one request.
    drawn = services.dice(REQUEST_BYTES)
    for some in _split(commands):
        jobs = [job_key(unit.shard, account.id, each.kind, each.job_id) for each in some]
        page = await _load(services, account.project, jobs)
        cases = [
            _plan(services, page, key, each, account=account, now_ms=unit.now_ms, drawn=drawn)
            for key, each in zip(jobs, some, strict=True)
        ]
        held = await _load_on_hold(services, cases)
        staged += [(case.key, await _stage(services, unit, case, held)) for case in cases]
    check_jobs(page.watched, unit.made)
    check_bytes(services, page.held_bytes, unit.grown + _kept_bytes(commands))
    return await _add_turns(services, staged)


def _kept_bytes(commands: Sequence[RegisterCallback]) -> int:
    """Return about how many bytes of an answer are kept, which shows each callback: none without an Idempotency-Key."""
    return sum(CALLBACK_SHOWN + len(each.url.text) for each in commands if each.request)


def _split(commands: Sequence[RegisterCallback]) -> Iterator[Sequence[RegisterCallback]]:
    """Yield parts that are loaded and decided on at once; other requests come between."""
    for at in range(0, len(commands), JOBS_AT_ONCE):
        yield commands[at : at + JOBS_AT_ONCE]


async def _load(services: Services, project: str, jobs: Sequence[str]) -> RegistrationPage:
    store = services.store
    accounts = await store.accounts.list_recent(project)
    return await store.registrations.load(project, jobs, accounts=accounts, now_ms=services.clock_ms())


def _plan(
    services: Services,
    page: RegistrationPage,
    key: str,
    command: RegisterCallback,
    *,
    account: Account,
    now_ms: int,
    drawn: bytes,
) -> RegistrationCase:
    """Read a command's job, or begin its record, and choose the id of a new callback."""
    loaded = page.read_job(key)
    job = (
        loaded.record
        if loaded
        else new_job(
            project=account.project,
            account=account.id,
            kind=command.kind,
            job_id=command.job_id,
            now_ms=now_ms,
            clock=clock_of(command.kind),
            persona=command.persona,
            media=command.media,
        )
    )
    identifier = _choose_id(services, job, key, command, now_ms=now_ms, drawn=drawn)
    job, run = (job, 0) if command.before is None else apply_baseline(job, command.before)
    from_run = run if command.expect == "new_run" else 0
    fingerprint = services.store.vault.fingerprint(command.url.text)
    return RegistrationCase(key, command, fingerprint, loaded, job, identifier, from_run)


async def _load_on_hold(services: Services, cases: Sequence[RegistrationCase]) -> Collection[str]:
    """Return those callbacks which a command may repeat whose deliveries are still on hold for an answer."""
    ids: set[str] = set()
    for case in cases:
        job, fingerprint = case.job, case.fingerprint
        if job.callbacks:
            known = (
                find_callback(job, case.identifier),
                find_repeated(job, fingerprint, once=case.command.once),
            )
            ids.update(each.id for each in (*list_notified(job, fingerprint), *known) if each is not None)
    return (await services.store.load_many(Wanted(holds=sorted(ids)))).holds if ids else ()


def _choose_id(
    services: Services, job: Job, key: str, command: RegisterCallback, *, now_ms: int, drawn: bytes
) -> str:
    """Return a callback's id: the one that the same request led to before, else one that was drawn for this request."""
    if not command.request:
        identifier = callback_id(key, lambda size: drawn[:size])
        return identifier if find_callback(job, identifier) is None else callback_id(key, services.dice)
    text = f"{command.request} {command.url.text}".encode()
    identifier = callback_id(key, lambda size: hashlib.blake2b(text, digest_size=size).digest())
    known = find_callback(job, identifier)
    return (
        identifier if known is None or now_ms - known.created_ms < DAY_MS else callback_id(key, services.dice)
    )


async def _stage(
    services: Services, unit: UnitOfWork, case: RegistrationCase, held: Collection[str]
) -> Registered:
    registered = await add_callback(services, case, now_ms=unit.now_ms, held=held)
    if (members := case.command.members) and not registered.updated:
        before = case.loaded.record if case.loaded else None
        group = begin_group(before, registered.job, members, now_ms=unit.now_ms)
        registered = dataclasses.replace(registered, job=group)
    _write(unit, case, registered, held)
    for dropped in list_dropped_callbacks(case.job, registered.job):
        unit.unindex_callback(case.job, dropped)
    return Registered(
        job=registered.job,
        callback=registered.callback,
        updated=registered.updated,
        next_poll_ms=None if registered.updated else unit.now_ms,
    )


async def _add_turns(services: Services, staged: Sequence[tuple[str, Registered]]) -> list[Registered]:
    """Return the registrations; those of updated callbacks with the time at which their jobs are polled next."""
    updated = [(each.job.account, key) for key, each in staged if each.updated]
    if not updated:
        return [each for _, each in staged]
    turns = dict(zip(updated, await next_turns_ms(services, updated), strict=True))
    return [
        replace(each, next_poll_ms=abs(turns[each.job.account, key] or 0) or None) if each.updated else each
        for key, each in staged
    ]


def _write(
    unit: UnitOfWork, case: RegistrationCase, registered: RegistrationResult, held: Collection[str]
) -> None:
    unit.put_job(case.key, registered.job, case.loaded)
    if is_live(registered.callback):
        sooner = registered.poll_now or case.loaded is None
        unit.poll_at(case.key, registered.job, 0, how="sooner" if sooner else "absent")
    if case.command.group:  # nothing is ever sent to it, and no list shows it
        return
    if not registered.updated:
        unit.index_callback(registered.job, registered.callback)
    if not registered.updated or registered.callback.id in held:
        unit.hold(registered.callback, HOLD_MS)


def release_holds(services: Services, callback_ids: Sequence[str]) -> None:
    """Let the first deliveries of new callbacks start one second from now; call this once the answer is sent."""
    services.store.holds.release(callback_ids, after_ms=RELEASE_AFTER_MS)

"""Register callbacks: job, callback and first poll are written in one step, and are on disk before the answer."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.domain.ids import callback_id, job_key
from bridge.domain.jobs.callbacks import CallbacksTooLarge, find_callback, list_dropped_callbacks
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.registration import (
    CALLBACKS_PER_JOB,
    RegistrationResult,
    TooManyCallbacks,
    find_repeated,
    list_notified,
    new_job,
    register_callback,
)
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.domain.urls.policy import CheckedUrl
from bridge.errors import Conflict, RateLimited, Unavailable, ValidationFailed
from bridge.providers.registry import KINDS
from bridge.services.accounts.budget_view import next_turn_ms
from bridge.services.context import Services, lasts_ms
from bridge.services.quota import check_bytes, check_jobs
from bridge.services.subscriptions.patch import refuse_size
from bridge.services.subscriptions.sealing import seal_headers, seal_text
from bridge.store.errors import StoreFull, StoreNotDurable
from bridge.store.records import Loaded, Wanted
from bridge.store.tables.accounts import Account
from bridge.store.tables.idempotency import DAY_MS
from bridge.store.unit_of_work import UnitOfWork, retrying

HOLD_MS = 15_000  # longer than a slow disk may delay the answer
STORE_FULL_RETRY_S = 30.0
RELEASE_AFTER_MS = 1_000  # first deliveries start this long after the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterCallback:
    """A command to register one job of a request, with all fields checked.

    `retried` are pairs (original item, new item) of a retry of the failed ones. `request` is a digest of a request
    that has an Idempotency-Key, else empty: for a day, the same digest leads to the same callback.
    """

    kind: str
    job_id: str
    url: CheckedUrl
    events: tuple[str, ...] = ()
    once: bool = True
    late: bool = True
    metadata: Any = None
    headers: Mapping[str, str] | None = None
    secret: str | None = None
    persona: str = ""
    media: str = ""
    timeout_s: float | None = None
    expect: str = "any"
    payload: str = "full"
    retried: tuple[tuple[str, str], ...] = ()
    account: str | None = None
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registration that is on disk; `updated` if the callback existed before."""

    job: Job
    callback: Callback
    updated: bool
    next_poll_ms: int | None = field(default=None)


async def register(
    services: Services, project: str, commands: Sequence[RegisterCallback]
) -> list[Registered]:
    """Register all commands or none; they are durable when this returns.

    Raise ValidationFailed, Conflict, RateLimited (too many jobs or callbacks) or Unavailable (store full or slow).
    """
    account = await find_account(services, project, commands[0])
    shard = services.store.shard_of(account.id)

    async def stage() -> tuple[UnitOfWork, list[Registered]]:
        unit = services.unit_of_work(shard)
        registered = [await _stage(services, unit, project, account, command) for command in commands]
        if unit.made:
            await check_jobs(services, project, unit.made)
        await check_bytes(services, project, unit.grown)
        return unit, registered

    conflict = Conflict("many registrations for the same job at once: repeat this one")
    try:
        return await retrying(services.store.committer, stage, conflict=conflict, new_work=True, durable=True)
    except StoreFull:
        raise Unavailable(
            "the store is full: nothing was registered, try again later", retry_after_s=STORE_FULL_RETRY_S
        ) from None
    except StoreNotDurable:
        raise Unavailable(
            "the disk is too slow to confirm the registration: repeat it, it is not doubled"
        ) from None


async def find_account(services: Services, project: str, command: RegisterCallback) -> Account:
    """Return the project's account for a command: the one that it names, else the oldest at its provider."""
    provider = KINDS[command.kind].provider
    accounts = [a for a in await services.store.accounts.list(project) if a.provider == provider]
    chosen = [a for a in accounts if command.account in (None, a.id)]
    if command.account and not chosen:
        raise ValidationFailed(
            "account_id", "no such account of this provider in this project; GET /v1/accounts lists them"
        )
    if not chosen:
        variable = f"{provider.upper()}_API_KEY"
        raise ValidationFailed(
            "kind",
            f"this project has no {provider} account: set {variable} or add one with POST /v1/accounts",
        )
    return min(chosen, key=lambda account: account.created_ms)


async def _stage(
    services: Services, unit: UnitOfWork, project: str, account: Account, command: RegisterCallback
) -> Registered:
    key = job_key(unit.shard, account.id, command.kind, command.job_id)
    loaded = await services.store.load_job(key)
    clock = str(KINDS[command.kind].clock)
    job = (
        loaded.record
        if loaded
        else new_job(
            project=project,
            account=account.id,
            kind=command.kind,
            job_id=command.job_id,
            now_ms=unit.now_ms,
            clock=clock,
            persona=command.persona,
            media=command.media,
        )
    )
    identifier = _choose_id(services, job, key, command, now_ms=unit.now_ms)
    held = await _load_on_hold(services, job, command, identifier)
    registered = _register(services, job, identifier, command, now_ms=unit.now_ms, held=held)
    _write(unit, key, registered, loaded, held)
    for dropped in list_dropped_callbacks(job, registered.job):
        unit.unindex_callback(job, dropped)
    due = await next_turn_ms(services, account.id, key) if registered.updated else unit.now_ms
    return Registered(
        job=registered.job,
        callback=registered.callback,
        updated=registered.updated,
        next_poll_ms=abs(due) if due else None,
    )


async def _load_on_hold(
    services: Services, job: Job, command: RegisterCallback, identifier: str
) -> Collection[str]:
    """Return those callbacks which this command may repeat whose deliveries are still on hold for an answer."""
    fingerprint = services.store.vault.fingerprint(command.url.text)
    known = (find_callback(job, identifier), find_repeated(job, fingerprint, once=command.once))
    ids = {each.id for each in (*list_notified(job, fingerprint), *known) if each is not None}
    return (await services.store.load_many(Wanted(holds=sorted(ids)))).holds if ids else ()


def _choose_id(services: Services, job: Job, key: str, command: RegisterCallback, *, now_ms: int) -> str:
    """Return a callback's id: the one that the same request led to before, else a random one."""
    if not command.request:
        return callback_id(key, services.dice)
    text = f"{command.request} {command.url.text}".encode()
    identifier = callback_id(key, lambda size: hashlib.blake2b(text, digest_size=size).digest())
    known = find_callback(job, identifier)
    return (
        identifier if known is None or now_ms - known.created_ms < DAY_MS else callback_id(key, services.dice)
    )


def _register(
    services: Services,
    job: Job,
    identifier: str,
    command: RegisterCallback,
    *,
    now_ms: int,
    held: Collection[str],
) -> RegistrationResult:
    """Add a command's callback to a job, under `identifier` or under the id of the callback that it repeats."""
    known = find_callback(job, identifier)
    if known is not None:  # the same request was repeated; its callback may have ended since
        return RegistrationResult(job=job, callback=known, updated=True, poll_now=False)
    callback = _callback(services, identifier, command, now_ms=now_ms)
    clock = str(KINDS[command.kind].clock)
    try:
        registered = register_callback(
            job, callback, now_ms=now_ms, clock=clock, retried=dict(command.retried), held=held
        )
    except TooManyCallbacks:
        raise RateLimited(60, f"this job has {CALLBACKS_PER_JOB} live callbacks: delete some first") from None
    except CallbacksTooLarge:
        raise refuse_size() from None
    if registered.callback.id == identifier:
        return registered
    # A repetition keeps the id of the first callback, and sealed values open only with the id they were sealed with.
    callback = _callback(services, registered.callback.id, command, now_ms=now_ms)
    return register_callback(
        job, callback, now_ms=now_ms, clock=clock, retried=dict(command.retried), held=held
    )


def _write(
    unit: UnitOfWork,
    key: str,
    registered: RegistrationResult,
    loaded: Loaded[Job] | None,
    held: Collection[str],
) -> None:
    unit.put_job(key, registered.job, loaded)
    if is_live(registered.callback):
        unit.poll_at(
            key, registered.job, 0, how="sooner" if registered.poll_now or loaded is None else "absent"
        )
    if not registered.updated:
        unit.index_callback(registered.job, registered.callback)
    if not registered.updated or registered.callback.id in held:
        unit.hold(registered.callback, HOLD_MS)


def _callback(services: Services, identifier: str, command: RegisterCallback, *, now_ms: int) -> Callback:
    vault = services.store.vault
    return Callback(
        id=identifier,
        state=CallbackState.WATCHING,
        created_ms=now_ms,
        url=seal_text(vault, identifier, command.url.text),
        origin=command.url.origin,
        masked=command.url.masked,
        fingerprint=vault.fingerprint(command.url.text),
        once=command.once,
        late=command.late,
        events=command.events,
        metadata=command.metadata,
        secret=None if command.secret is None else seal_text(vault, identifier, command.secret),
        headers=seal_headers(vault, identifier, command.headers),
        payload=command.payload,
        expect=command.expect,
        timeout_s=command.timeout_s,
        expires_ms=now_ms + lasts_ms(services, command.kind, once=command.once, timeout_s=command.timeout_s),
    )


async def release_holds(services: Services, callback_ids: Sequence[str]) -> None:
    """Let the first deliveries of new callbacks start one second from now; call this once the answer is sent."""
    await services.store.holds.release(callback_ids, after_ms=RELEASE_AFTER_MS)

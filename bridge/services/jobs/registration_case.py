"""What one registration makes of its job: a new callback, new fields of a known one, or a refusal."""

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.jobs.baseline import Baseline
from bridge.domain.jobs.callbacks import (
    CallbacksTooLarge,
    find_callback,
    list_closed_callbacks,
    list_dropped_callbacks,
)
from bridge.domain.jobs.records import Job, Member
from bridge.domain.jobs.registration import (
    CALLBACKS_PER_JOB,
    RegistrationResult,
    TooManyCallbacks,
    TooManyOwed,
    register_callback,
)
from bridge.domain.jobs.watches import GROUP
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.domain.urls.policy import CheckedUrl
from bridge.errors import RateLimited
from bridge.services.context import Services, clock_of, lasts_ms
from bridge.services.queries import find_undelivered
from bridge.services.subscriptions.patch import refuse_size
from bridge.services.subscriptions.sealing import seal_headers, seal_text
from bridge.store.records import Loaded

CLOSED_AT_ONCE = 50  # callbacks that are looked at together for whether something is still to be delivered
TOO_MANY_OWED = (
    "this job has too many closed callbacks whose deliveries wait or are parked: see GET /v1/deliveries, and "
    "retry them or delete some of these callbacks"
)


class RegisterCallback(Struct, frozen=True, kw_only=True, gc=False):
    """A command to register one job of a request, with all fields checked.

    `retried` are pairs (original item, new item) of a retry of the failed ones. `request` is a digest of a request
    that has an Idempotency-Key, else empty: for a day, the same digest leads to the same callback. `before` is the job
    before a call that ran it again. `members` are those of a group, and `group` names the group whose member is watched.
    `lasts_s` is how long a watch may go on, None: as documented.
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
    before: Baseline | None = None
    members: tuple[Member, ...] = ()
    group: str = ""
    lasts_s: float | None = None

    @property
    def timed_kind(self) -> str:
        """The kind whose documented times count: a group has those of its members."""
        return self.members[0].kind if self.kind == GROUP else self.kind


class RegistrationCase(Struct, frozen=True):
    """One command with what it is decided on: the job as it is stored or as it begins, and the id of a new callback.

    `from_run` is the run that the callback is for, 0 where that is not known yet.
    """

    key: str
    command: RegisterCallback
    fingerprint: bytes
    loaded: Loaded[Job] | None
    job: Job
    identifier: str
    from_run: int = 0


async def add_callback(
    services: Services, case: RegistrationCase, *, now_ms: int, held: Collection[str]
) -> RegistrationResult:
    """Add a command's callback to its job; a closed one to which something is still to be delivered is not dropped.

    `held` are the ids of callbacks whose deliveries are on hold for an answer. Raise RateLimited or PayloadTooLarge for
    more than a job may have.
    """
    undelivered: set[str] = set()
    seen: set[str] = set()
    while True:
        registered = _register(services, case, now_ms=now_ms, held=held, undelivered=undelivered)
        dropped = {each.id for each in list_dropped_callbacks(case.job, registered.job)}
        if seen.issuperset(dropped):
            return registered
        closed = [each.id for each in list_closed_callbacks(case.job) if each.id not in seen]
        looked_at = dropped.union(closed[:CLOSED_AT_ONCE]) - seen
        undelivered |= await find_undelivered(services.store, case.key, looked_at)
        seen |= looked_at


def _register(
    services: Services,
    case: RegistrationCase,
    *,
    now_ms: int,
    held: Collection[str],
    undelivered: Collection[str],
) -> RegistrationResult:
    """Add a command's callback to a job, under its own id or under that of the callback that it repeats."""
    command = case.command
    known = find_callback(case.job, case.identifier)
    if known is not None:  # the same request was repeated; its callback may have ended since
        return RegistrationResult(job=case.job, callback=known, updated=True, poll_now=False)
    clock, retried = clock_of(command.kind), dict(command.retried)
    callback = replace(_callback(services, case, case.identifier, now_ms=now_ms), from_run=case.from_run)
    try:
        registered = register_callback(
            case.job,
            callback,
            now_ms=now_ms,
            clock=clock,
            retried=retried,
            held=held,
            undelivered=undelivered,
        )
    except TooManyOwed:
        raise RateLimited(60, TOO_MANY_OWED) from None
    except TooManyCallbacks:
        raise RateLimited(60, f"this job has {CALLBACKS_PER_JOB} live callbacks: delete some first") from None
    except CallbacksTooLarge:
        raise refuse_size() from None
    if registered.callback.id == case.identifier:
        return registered
    # A repetition keeps the id of the first callback, and sealed values open only with the id they were sealed with.
    callback = replace(
        _callback(services, case, registered.callback.id, now_ms=now_ms), from_run=case.from_run
    )
    return register_callback(case.job, callback, now_ms=now_ms, clock=clock, retried=retried, held=held)


def _callback(services: Services, case: RegistrationCase, identifier: str, *, now_ms: int) -> Callback:
    vault, command = services.store.vault, case.command
    return Callback(
        id=identifier,
        state=CallbackState.WATCHING,
        created_ms=now_ms,
        url=seal_text(vault, identifier, command.url.text),
        origin=command.url.origin,
        masked="",
        fingerprint=case.fingerprint,
        once=command.once,
        late=command.late,
        events=command.events,
        metadata=command.metadata,
        secret=None if command.secret is None else seal_text(vault, identifier, command.secret),
        headers=seal_headers(vault, identifier, command.headers),
        payload=command.payload,
        expect=command.expect,
        timeout_s=command.timeout_s,
        expires_ms=now_ms
        + lasts_ms(
            services, command.timed_kind, once=command.once, timeout_s=command.lasts_s or command.timeout_s
        ),
        group=command.group,
    )

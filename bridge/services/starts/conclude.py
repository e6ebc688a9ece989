"""Write the outcome of a guarded start and register its jobs, in one step on the shard of its account."""

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.starts.looks import REPAIR_EVERY_MS, next_late_look_ms
from bridge.domain.starts.records import Start, StartedJob
from bridge.errors import BridgeError
from bridge.providers.registry import KINDS, PROVIDERS
from bridge.services.context import Services
from bridge.services.jobs.known_children import list_started_children
from bridge.services.jobs.registration import log_registered, stage_registrations
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.services.starts.sealing import open_webhook
from bridge.store.errors import STORE_ERRORS
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork, retrying

Decide = Callable[[Start], Start | None]


class Finished(Struct, frozen=True):
    """What was registered with a start's outcome: the ids of the callbacks, in the order of the jobs.

    `pending`: something is still to be registered, which the sweep goes on with. `reason`, a word, says why not yet.
    """

    registered: tuple[str, ...] = ()
    pending: bool = False
    reason: str = ""


async def conclude(services: Services, place: str, decide: Decide, *, alone: bool = False) -> Finished:
    """Write what `decide` makes of a start, with its jobs registered; durable when this returns.

    `decide` gets the record as it is, and returns it with its outcome and its jobs, or None where there is nothing to
    change. Jobs whose registration is refused stay pending, and the outcome is written all the same. `alone`: write
    nothing if another start is known to have begun one of the jobs.
    """
    kept: list[Start] = []
    began: list[Start] = []  # the start whose jobs the last try has registered

    async def stage() -> tuple[UnitOfWork | None, Finished]:
        loaded = await services.store.starts.load(place)
        start = None if loaded is None else decide(loaded.record)
        if loaded is None or start is None:
            return None, Finished() if loaded is None else Finished(
                loaded.record.registered, loaded.record.pending
            )
        unit, finished = services.unit_of_work(place[0]), Finished(start.registered, start.pending)
        if start.webhook is not None and start.jobs and not start.registered:
            unit, finished = await _register(services, unit, place, start)
            began[:] = [start]
        start = replace(start, registered=finished.registered, pending=finished.pending)
        if not await _mark_jobs(services, unit, place, start, alone=alone):
            return None, Finished()
        _write(services, unit, place, start, loaded)
        kept[:] = [start] if start.answer is not None and loaded.record.answer is None else []
        return unit, finished

    finished = await retrying(services.store.committer, stage, durable=True)
    if began and finished.registered:
        log_registered(began[-1].project, began[-1].jobs[0].kind, finished.registered)
    if kept:
        with suppress(*STORE_ERRORS):  # the outcome is on disk, and its size is only an estimate's part
            await services.store.idempotency.count_bytes(kept[-1].project, len(kept[-1].answer or b""))
    return finished


async def _register(
    services: Services, unit: UnitOfWork, place: str, start: Start
) -> tuple[UnitOfWork, Finished]:
    """Add a start's registrations to a unit; return an empty one where they are refused."""
    assert start.webhook is not None
    account = await services.store.accounts.get(start.account)
    if account is None:
        return unit, Finished(reason="no_account")
    webhook = open_webhook(services.store.vault, place, start.webhook)
    try:
        made = await stage_registrations(services, unit, account, _commands(webhook, place, start))
    except BridgeError as refused:
        return services.unit_of_work(place[0]), Finished(pending=True, reason=refused.code.lower())
    return unit, Finished(tuple(each.callback.id for each in made))


def _commands(webhook: RegisterCallback, place: str, start: Start) -> list[RegisterCallback]:
    """Return the registrations of a start's jobs; repeated, they lead to the same callbacks."""
    return [
        replace(
            webhook,
            kind=job.kind,
            job_id=job.id,
            persona=job.persona or webhook.persona,
            media=job.media or webhook.media,
            expect=job.expect if webhook.expect == "any" else webhook.expect,
            retried=job.retried,
            request=f"start {place}",
            before=start.baseline if _is_rerun(start, job) else None,
        )
        for job in start.jobs
    ]


def _is_rerun(start: Start, job: StartedJob) -> bool:
    """Whether a job ran before, as what the start is about did."""
    return job.id == start.subject and (job.expect == "new_run" or bool(job.retried))


async def _mark_jobs(services: Services, unit: UnitOfWork, place: str, start: Start, *, alone: bool) -> bool:
    """Note that a start began its jobs; return False if they must be its own alone, and are not."""
    jobs = [
        job_key(place[0], start.account, job.kind, job.id) for job in start.jobs if _is_looked_for(job.kind)
    ]
    by = await services.store.starts.started_by(jobs)
    if alone and any(other != place for other, _ in by.values()):
        return False
    unit.add(list_started_children(place[0], start.account, start.jobs))
    for key in jobs:
        if key not in by or by[key][0] != place:
            unit.mark_started(key, place, alone=alone)
    return True


def _is_looked_for(kind: str) -> bool:
    """Whether a job of a kind may be taken for what another start began."""
    evidence = PROVIDERS[KINDS[kind].provider].start_evidence.values()
    return any(each.kind.name == kind for each in evidence)


def _write(services: Services, unit: UnitOfWork, place: str, start: Start, loaded: Loaded[Start]) -> None:
    if not start.keyed and not start.pending:  # nobody can repeat it, and nothing is left to do
        unit.drop_start(place, loaded)
        return
    unit.put_start(place, start, loaded)
    if not start.pending:
        unit.look_at(place, None)
    elif start.jobs:
        unit.look_at(place, unit.now_ms + REPAIR_EVERY_MS)
    else:
        unit.look_at(place, next_late_look_ms(start, scale=services.time_scale, now_ms=unit.now_ms))

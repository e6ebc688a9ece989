"""The watches of a group's members, which are changed and ended with the group's callback."""

from collections.abc import Callable

from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.jobs.callbacks import cancel_callback, list_live_callbacks, replace_callback
from bridge.domain.jobs.next_poll import is_done
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.watches import CHAIN, GROUP, name_group
from bridge.domain.subscriptions.callback import Callback
from bridge.services.context import Services
from bridge.services.queries import load_jobs
from bridge.store.chains.chains import end_waiting
from bridge.store.unit_of_work import UnitOfWork

ChangeWatch = Callable[[Job, Callback], Job]


async def stage_stop_members(services: Services, unit: UnitOfWork, group: Job) -> None:
    """End the watches of a group's members, if no callback of the group waits for them any more."""
    if list_live_callbacks(group):
        return
    if group.kind == CHAIN:
        key = job_key(unit.shard, group.account, group.kind, group.id)
        unit.add(end_waiting(key, group.account, (group.persona,)))

    def stop(job: Job, watch: Callback) -> Job:
        return cancel_callback(job, watch, now_ms=unit.now_ms)

    await _stage_change(services, unit, group, stop)


async def stage_member_timeouts(services: Services, unit: UnitOfWork, group: Job, changed: Callback) -> None:
    """Give the open members of a group the time-out that its callback has now; a chain looks at its own at once."""
    if group.kind == CHAIN:
        key = job_key(unit.shard, group.account, group.kind, group.id)
        unit.poll_at(key, group, 0, how="sooner")
    if group.kind != GROUP:
        return

    def change(job: Job, watch: Callback) -> Job:
        timed = replace(watch, timeout_s=changed.timeout_s, expires_ms=changed.expires_ms)
        return replace_callback(job, timed)

    await _stage_change(services, unit, group, change)


async def _stage_change(services: Services, unit: UnitOfWork, group: Job, change: ChangeWatch) -> None:
    name = name_group(group.kind, group.id)
    keys = [job_key(unit.shard, group.account, each.kind, each.id) for each in group.members]
    for key, loaded in (await load_jobs(services.store, keys) if keys else {}).items():
        job = loaded.record
        for watch in [each for each in list_live_callbacks(job) if each.group == name]:
            job = change(job, watch)
        if job is loaded.record:
            continue
        unit.put_job(key, job, loaded)
        if is_done(job, now_ms=unit.now_ms):
            unit.retire(key, job)

"""Master key rotation: what an old key sealed is sealed again under the newest, so that the old one can go."""

from bridge.domain.jobs.callbacks import change_callbacks
from bridge.domain.jobs.records import Job
from bridge.services.context import Services
from bridge.services.subscriptions.sealing import reseal
from bridge.store.records import Loaded


async def reseal_job(services: Services, key: str, loaded: Loaded[Job]) -> bool:
    """Seal a job's callbacks anew where an old key did; False when there was nothing to do or others wrote first."""
    job = change_callbacks(loaded.record, lambda each: reseal(services.store.vault, each))
    if job == loaded.record:
        return False
    unit = services.unit_of_work(key[0])
    unit.put_job(key, job, loaded)
    return await services.store.committer.commit(unit.change()) == "done"

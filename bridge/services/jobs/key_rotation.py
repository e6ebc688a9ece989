"""Master key rotation: encrypt a job's secrets again under the newest key, so that the old one can be removed."""

from bridge.domain.jobs.callbacks import change_callbacks
from bridge.domain.jobs.records import Job
from bridge.services.context import Services
from bridge.services.subscriptions.sealing import reseal
from bridge.store.records import Loaded


async def reseal_job(services: Services, key: str, loaded: Loaded[Job]) -> bool:
    """Seal a job's callbacks under the newest key.

    Return False when nothing was to be done, or when the job was written by others meanwhile.
    """
    job = change_callbacks(loaded.record, lambda each: reseal(services.store.vault, each))
    if job == loaded.record:
        return False
    unit = services.unit_of_work(key[0])
    unit.put_job(key, job, loaded)
    return await services.store.committer.commit(unit.change()) == "done"

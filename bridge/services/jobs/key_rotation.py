"""Master key rotation: what an old key sealed is sealed again under the newest, so that the old one can go."""

from msgspec.structs import replace

from bridge.domain.jobs.records import Job
from bridge.domain.subscriptions.callback import Callback
from bridge.services.context import Services
from bridge.store.records import Loaded
from bridge.store.vault import Vault


async def reseal_job(services: Services, key: str, loaded: Loaded[Job]) -> bool:
    """Seal a job's callbacks anew where an old key did; False when there was nothing to do or others wrote first."""
    vault = services.store.vault
    callbacks = tuple(_reseal(vault, each) for each in loaded.record.callbacks)
    if callbacks == loaded.record.callbacks:
        return False
    unit = services.unit_of_work(key[0])
    unit.put_job(key, replace(loaded.record, callbacks=callbacks), loaded)
    return await services.store.committer.commit(unit.change()) == "done"


def _reseal(vault: Vault, callback: Callback) -> Callback:
    def again(sealed: bytes | None) -> bytes | None:
        if sealed is None or not vault.needs_reseal(sealed):
            return sealed
        return vault.seal(vault.open(sealed, record=callback.id), record=callback.id)

    return replace(
        callback,
        url=again(callback.url) or callback.url,
        secret=again(callback.secret),
        headers=again(callback.headers),
    )

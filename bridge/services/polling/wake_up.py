"""Read watched jobs at once because somebody says that they may have changed. What is said is not believed further."""

from collections.abc import Iterator, Sequence

from bridge.domain.ids import job_key
from bridge.providers.registry import PROVIDERS
from bridge.services.context import Services
from bridge.services.queries import load_jobs
from bridge.store.tables.accounts import Account

MOST_PLACES = 2_000


async def wake_jobs(services: Services, project: str, ids: Sequence[str]) -> int:
    """Make the watched jobs of a project that have one of these ids due now; return their number.

    One that is being read is read once more, since that read may have begun too early. However many wake-ups come
    before a job's read, they cost that one read.
    """
    store, by_shard = services.store, dict[str, list[tuple[str, str]]]()
    for account, key in _list_places(services, await store.accounts.list_recent(project), ids):
        by_shard.setdefault(key[0], []).append((account, key))
    woken = 0
    for shard, places in by_shard.items():
        due_ms = await store.poll.due_many(shard, places)
        watched = [key for (_, key), at_ms in zip(places, due_ms, strict=True) if at_ms is not None]
        if not watched:
            continue
        unit = services.unit_of_work(shard)
        for key, loaded in (await load_jobs(store, watched)).items():
            unit.poll_at(key, loaded.record, 0, how="sooner")
            woken += 1
        await store.committer.commit(unit.change())
    return woken


def _list_places(
    services: Services, accounts: Sequence[Account], ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield account and key of each job that may have one of these ids, as many as may be looked up at once."""
    left = MOST_PLACES
    for account in accounts:
        for kind in PROVIDERS[account.provider].kinds.values():
            for identifier in ids:
                if not kind.registrable or not kind.id_pattern.fullmatch(identifier):
                    continue
                if not left:
                    return
                left -= 1
                shard = services.store.shard_of(account.id)
                yield account.id, job_key(shard, account.id, kind.name, identifier)

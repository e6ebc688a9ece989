"""Keep the followed personas of accounts as endpoints and open chains say: these are the truth, the lanes follow it."""

from typing import Final

from bridge.domain.following.records import Followed, list_wanted
from bridge.domain.subscriptions.endpoint import EVERY_PERSONA
from bridge.services.context import Services
from bridge.services.following.followed_kinds import followed_kind
from bridge.store.tables.accounts import Account

REPAIR_MS: Final = 60_000  # between two looks for personas without a place in their lane


async def reconcile(services: Services) -> None:
    """Begin and end following where endpoints and chains have changed; put back a persona that a crash took out of its lane."""
    repair = await services.store.take_tick("followed", services.clock_ms(), every_ms=REPAIR_MS)
    for project in await services.store.following.projects():
        table = await services.store.endpoints.latest(project)
        wanted = list_wanted(table.by_id.values())
        is_wanted = bool(wanted)
        for account in await services.store.accounts.list(project):
            if followed_kind(account.provider) is not None:
                waiting = await services.store.chains.waiting(account.id, now_ms=services.clock_ms())
                is_wanted = is_wanted or bool(waiting)
                await _reconcile_account(services, account, wanted.union(waiting), repair=repair)
        # Not at once: a sweep that was under way may write once more, which the next looks undo.
        if repair and not is_wanted:
            await _forget_project(services, project)


async def _forget_project(services: Services, project: str) -> None:
    """Forget a project that follows no persona; one that was changed meanwhile is kept, and a chain adds it at each turn."""
    await services.store.following.remove_project(project)
    table = await services.store.endpoints.latest(project)
    if list_wanted(table.by_id.values()):
        await services.store.following.add_project(project)


async def _reconcile_account(
    services: Services, account: Account, wanted: frozenset[str], *, repair: bool
) -> None:
    store = services.store.following
    known = await store.load(account.id)
    if EVERY_PERSONA in wanted and EVERY_PERSONA in known:
        wanted |= frozenset(known[EVERY_PERSONA].found)
    now_ms = services.clock_ms()
    await store.end(account.id, [each for each in known if each not in wanted])
    await store.begin(account.id, {each: Followed(since_ms=now_ms) for each in wanted if each not in known})
    if repair and (kept := [each for each in known if each in wanted]):
        await store.schedule(account.id, kept)

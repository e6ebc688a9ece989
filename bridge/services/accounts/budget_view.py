"""Budgets for people: what an account may still spend, and when a job's turn comes."""

from collections.abc import Sequence

from bridge.domain.polling.rate_limit import Bucket, BudgetView, Limit
from bridge.http.upstream import Login
from bridge.providers.registry import PROVIDERS
from bridge.services.context import Services
from bridge.store.tables.accounts import Account

WINDOW_S = 60.0  # providers document their limits as requests per minute


def plan_limit(services: Services, provider: str, credential: str, name: str) -> Limit:
    """Return a limit as documented for a credential.

    Until an answer tells the length of its window it is the documented minute, shortened where polling is scaled down.
    """
    requests = PROVIDERS[provider].requests_per_minute(credential)
    return Limit(name=name, requests=requests, window_s=WINDOW_S * min(1.0, services.settings.poll_scale))


def plan_bucket(services: Services, account: str, login: Login, name: str) -> Bucket:
    """Return an account's limit of this name, as documented for its credential."""
    limit = plan_limit(services, login.provider, login.credential, name)
    return Bucket(account, limit, is_only=limits_of(login.provider) == [limit.name])


def limits_of(provider: str) -> list[str]:
    """Return the names of the limits that reads of a provider's kinds count under."""
    return sorted({kind.limit for kind in PROVIDERS[provider].kinds.values() if kind.path})


def documented_limit(services: Services, provider: str) -> Limit:
    """Return the lowest limit that a provider documents for any credential."""
    return plan_limit(services, provider, "", limits_of(provider)[0])


async def view_budget(services: Services, account: Account) -> BudgetView:
    """Return what is known of an account's budget for reads of jobs."""
    return (await view_budgets(services, (account,)))[0]


async def view_budgets(services: Services, accounts: Sequence[Account]) -> list[BudgetView]:
    """Return what is known of accounts' budgets for reads of jobs, in order, in two round trips."""
    opened = await services.store.accounts.credentials([account.id for account in accounts])
    # A credential that does not open is the operator's to mend; what is shown here only lacks a documented number.
    limits = [
        plan_limit(services, each.provider, opened.get(each.id, ""), limits_of(each.provider)[0])
        for each in accounts
    ]
    asked = [(account.id, limit) for account, limit in zip(accounts, limits, strict=True)]
    return await services.store.budgets.view_many(asked, now_ms=services.clock_ms())


async def count_watched(services: Services, accounts: Sequence[Account]) -> dict[str, int]:
    """Return how many jobs of each account are watched, by its id, in one round trip a shard and one more."""
    by_shard: dict[str, list[str]] = {}
    for account in accounts:
        by_shard.setdefault(services.store.shard_of(account.id), []).append(account.id)
    watched: dict[str, int] = {}
    for shard, here in by_shard.items():
        watched |= await services.store.poll.sizes(shard, here)
    ids = [account.id for account in accounts]
    # A followed persona has a place in the poll queue, as a job has.
    followed = dict(zip(ids, await services.store.following.count_many(ids), strict=True))
    return {each: max(size - followed[each], 0) for each, size in watched.items()}


async def next_turns_ms(services: Services, jobs: Sequence[tuple[str, str]]) -> list[int | None]:
    """Return for each (account, key) when the job is polled next, in two round trips a shard; see `next_turn_ms`."""
    lanes, found = services.store.poll, dict[tuple[str, str], int | None]()
    for shard in sorted({key[0] for _, key in jobs}):
        here = [(account, key) for account, key in jobs if key[0] == shard]
        blocked = await lanes.blocked(shard, sorted({account for account, _ in here}))
        for (account, key), due_ms in zip(here, await lanes.due_many(shard, here), strict=True):
            asleep = due_ms is not None and due_ms >= 0
            found[account, key] = max(due_ms or 0, blocked.get(account, 0)) if asleep else due_ms
    return [found[each] for each in jobs]


async def next_turn_ms(services: Services, account: str, key: str) -> int | None:
    """Return when a job is read next: at its turn, or when its sleeping account wakes.

    In Unix milliseconds; negative while its read is in flight, None where it is not queued.
    """
    return (await next_turns_ms(services, ((account, key),)))[0]

"""Keep what accounts spend, for pages that show the last hour."""

from typing import Final

from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.budget_view import documented_limit
from bridge.services.context import Services

MOST_ACCOUNTS: Final = 2_000
STEP: Final = 100  # accounts in one round trip


async def sample_budgets(services: Services) -> int:
    """Keep the counters of the installation's first accounts as they are now; return how many."""
    known = [each for each in await services.store.accounts.all() if each.provider in PROVIDERS][
        :MOST_ACCOUNTS
    ]
    for start in range(0, len(known), STEP):
        some = known[start : start + STEP]
        asked = [(each.id, documented_limit(services, each.provider)) for each in some]
        now_ms = services.clock_ms()
        budgets = await services.store.budgets.view_many(asked, now_ms=now_ms)
        places = [(each.project, each.id) for each in some]
        await services.store.spending.sample(places, budgets, now_ms=now_ms)
    return len(known)

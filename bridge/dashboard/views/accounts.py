"""Accounts: the gauge of each rate limit, and how its key stands."""

from collections.abc import Sequence
from typing import Any

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.pictures import draw_bars
from bridge.domain.counts import say_count
from bridge.domain.polling.rate_limit import BudgetView
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.budget_view import count_watched, view_budgets
from bridge.store.dashboard.spending import Minute
from bridge.store.tables.account_health import AccountHealth
from bridge.store.tables.accounts import Account


async def show_accounts(visit: Visit, accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """Return accounts with their budgets, in a few round trips for all of them."""
    services = visit.services
    health = await services.store.health.load_many([each.id for each in accounts])
    watched = await count_watched(services, accounts)
    budgets = await view_budgets(services, accounts)
    hours = await services.store.spending.read_hours(
        [(account.project, account.id) for account in accounts], now_ms=services.clock_ms()
    )
    return [
        {**_show(account, health[account.id], budget, watched[account.id]), "hour": _show_hour(hour)}
        for account, budget, hour in zip(accounts, budgets, hours, strict=True)
    ]


def _show_hour(minutes: Sequence[Minute | None]) -> dict[str, Any] | None:
    """Return what an account spent in the last hour, None while nothing is known of it."""
    known = [each for each in minutes if each is not None]
    if not known:
        return None
    sums = {
        "ours": sum(each.ours for each in known),
        "client": sum(each.client for each in known),
        "saved": sum(each.saved for each in known),
        "limited": sum(each.limited for each in known),
    }
    ours = say_count(sums["ours"], "request")
    words = f"{ours} by us, {sums['client']} by the client, {sums['saved']} saved in the last hour"
    columns = [[("used", each.ours), ("client", each.client)] if each else [] for each in minutes]
    return {**sums, "picture": draw_bars(columns, words)}


def _show(account: Account, health: AccountHealth, budget: BudgetView, watched: int) -> dict[str, Any]:
    left = budget.limit if budget.remaining is None else budget.remaining
    used = max(budget.limit - left, 0)
    kept = min(round(budget.limit * (1 - budget.share)), left)
    badge = ("bad", "key refused") if health.outage_ms else ("good", "key accepted")
    if not health.outage_ms and health.forbidden:
        badge = ("warn", f"may not read {', '.join(sorted(health.forbidden))}")
    return {
        "id": account.id,
        "name": account.name or account.provider,
        "provider": PROVIDERS[account.provider].title,
        "badge": badge,
        "note": health.outage_note,
        "watched": watched,
        "parts": [("used", used), ("free", left - kept), ("kept", kept)],
        "used": used,
        "left": left,
        "kept": kept,
        "limit": budget.limit,
        "window_s": budget.window_ms / 1000,
        "reset_ms": budget.reset_ms if budget.remaining is not None else None,
        "quiet_ms": budget.quiet_ms,
        "client": budget.client_peak,
        "shared": budget.shared,
        "batched": budget.batched,
        "limited": budget.limited,
        "spent": sum(budget.spent.values()),
        "turn_s": budget.expected_delay_s(watched) if watched else 0.0,
        "version": account.version,
    }


async def read_accounts(visit: Visit) -> View:
    """Read the page of all accounts."""
    accounts = await visit.services.store.accounts.list_recent(visit.project)
    values = {
        "accounts": await show_accounts(visit, accounts[:50]),
        "more": max(len(accounts) - 50, 0),
        "providers": [(name, spec.title) for name, spec in PROVIDERS.items()],
    }
    return View(title="Accounts", template="accounts.html", values=values)


PAGES = (DashboardPage(path="/accounts", read=read_accounts),)

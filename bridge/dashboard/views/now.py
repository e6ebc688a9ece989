"""Now: what is watched, what is in trouble, and how the accounts' budgets stand."""

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.views.accounts import show_accounts
from bridge.dashboard.views.rows import group_by_receiver, show_events, show_watched
from bridge.domain.deliveries.records import DeliveryState
from bridge.services.accounts.budget_view import count_watched
from bridge.services.deliveries.browse import TROUBLE, DeliveryFilter, browse
from bridge.services.polling.watched import list_watched

SHOWN = 50
LOOKED = 500  # deliveries among which trouble is looked for
RECENT = 6


async def read_now(visit: Visit) -> View:
    """Read the page."""
    services, now_ms = visit.services, visit.services.clock_ms()
    accounts = await services.store.accounts.list_recent(visit.project)
    wanted = visit.query.get("account", "")
    shown = [each for each in accounts if wanted in ("", each.id)]
    watched = await count_watched(services, shown)
    rows = [show_watched(each, now_ms=now_ms) for each in await list_watched(services, shown, limit=SHOWN)]
    rows.sort(key=lambda row: (not row["is_overdue"], row["progress"] is None))
    trouble = await browse(services, visit.project, DeliveryFilter(states=TROUBLE), limit=LOOKED, most=LOOKED)
    parked = sum(row.delivery.state is DeliveryState.PARKED for row in trouble.rows)
    recent = await services.store.feed.read(visit.project, limit=RECENT)
    values = {
        "now_ms": now_ms,
        "rows": rows,
        "watched": sum(watched.values()),
        "overdue": sum(row["is_overdue"] for row in rows),
        "accounts": await show_accounts(visit, shown[:10]),
        "account": wanted,
        "parked": parked,
        "failing": len(trouble.rows) - parked,
        "receivers": group_by_receiver(trouble.rows),
        "is_bounded": trouble.cursor is not None,
        "looked": trouble.looked,
        "recent": await show_events(services, recent),
        "workers": await services.store.heartbeats.count(now_ms),
    }
    return View(title="Now", template="now.html", values=values)


PAGES = (DashboardPage(path="/", read=read_now),)

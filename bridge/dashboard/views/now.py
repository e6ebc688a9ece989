"""Now: what is watched, what is in trouble, and how the accounts' budgets stand."""

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.views.accounts import show_accounts
from bridge.dashboard.views.rows import list_receivers, show_events, show_watched
from bridge.services.accounts.budget_view import count_watched
from bridge.services.deliveries.browse import browse
from bridge.services.deliveries.delivery_filter import TROUBLE, DeliveryFilter
from bridge.services.polling.watched import count_late, list_watched

SHOWN = 50
NEWEST = 20  # deliveries in trouble whose last answer is told
RECEIVERS = 4
RECENT = 6


async def read_now(visit: Visit) -> View:
    """Read the page."""
    services, now_ms = visit.services, visit.services.clock_ms()
    accounts = await services.store.accounts.list_recent(visit.project)
    wanted = visit.query.get("account", "")
    shown = [each for each in accounts if wanted in ("", each.id)]
    watched = await count_watched(services, shown)
    rows = [show_watched(each, now_ms=now_ms) for each in await list_watched(services, shown, limit=SHOWN)]
    trouble = await browse(services, visit.project, DeliveryFilter(states=TROUBLE), limit=NEWEST)
    counts = await services.store.troubles.count(visit.project)
    receivers = await services.store.troubles.receivers(visit.project, most=RECEIVERS)
    recent = await services.store.feed.read(visit.project, limit=RECENT)
    values = {
        "now_ms": now_ms,
        "rows": rows,
        "watched": sum(watched.values()),
        "overdue": await count_late(services, shown),
        "accounts": await show_accounts(visit, shown[:10]),
        "account": wanted,
        "parked": counts["parked"],
        "failing": counts["failing"],
        "receivers": list_receivers(receivers, trouble.rows),
        "is_whole": await services.store.troubles.is_whole(),
        "recent": await show_events(services, recent),
        "workers": await services.store.heartbeats.count(now_ms),
    }
    return View(title="Now", template="now.html", values=values)


PAGES = (DashboardPage(path="/", read=read_now),)

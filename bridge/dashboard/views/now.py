"""Now: what is watched, what is in trouble, and how the accounts' budgets stand."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.pictures import draw_bars
from bridge.dashboard.views.accounts import show_accounts
from bridge.dashboard.views.rows import list_receivers, show_events, show_watched
from bridge.dashboard.words import say_bound
from bridge.domain.counts import say_count
from bridge.domain.lags import quantile_s
from bridge.domain.observation import Outcome
from bridge.providers.registry import CATALOGUE
from bridge.services.accounts.budget_view import count_watched
from bridge.services.deliveries.browse import browse
from bridge.services.deliveries.delivery_filter import TROUBLE, DeliveryFilter
from bridge.services.polling.watched import count_late, list_watched

SHOWN = 50
NEWEST = 20  # deliveries in trouble whose last answer is told
RECEIVERS = 4
RECENT = 6
LAG_HOURS = 2  # the present hour and the one before


async def read_now(visit: Visit) -> View:
    """Read the page."""
    services, now_ms = visit.services, visit.services.clock_ms()
    accounts = await services.store.accounts.list_recent(visit.project)
    wanted = visit.query.get("account", "")
    shown = [each for each in accounts if wanted in ("", each.id)]
    watched = await count_watched(services, shown)
    rows = [
        show_watched(each, now_ms=now_ms, scale=services.settings.poll_scale)
        for each in await list_watched(services, shown, limit=SHOWN)
    ]
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
        **await _show_day(visit, now_ms),
    }
    return View(title="Now", template="now.html", values=values)


async def _show_day(visit: Visit, now_ms: int) -> dict[str, Any]:
    """Return what ended today, yesterday and by hour, and how late that was seen and sent, in two round trips."""
    tallies = visit.services.store.tallies
    today, yesterday = await tallies.read_days(visit.project, now_ms=now_ms)
    hours = await tallies.read_hours(visit.project, now_ms=now_ms)
    seen, sent = Counter[int](), Counter[int]()
    for hour in hours[-LAG_HOURS:]:
        seen.update(hour.detected)
        sent.update(hour.delivered)
    ended = sum(hour.ended for hour in hours)
    return {
        "days": [_show_tally(today), _show_tally(yesterday)],
        "seen": say_bound(quantile_s(seen, 0.95)),
        "sent": say_bound(quantile_s(sent, 0.95)),
        "has_lags": bool(seen or sent),
        "by_hour": draw_bars(
            [[("good", hour.ended - hour.failed), ("bad", hour.failed)] for hour in hours],
            f"{say_count(ended, 'job')} ended in the last 24 hours, {sum(hour.failed for hour in hours)} of them failed",
        ),
        "has_ended": ended > 0,
    }


def _show_tally(counts: Mapping[str, int]) -> dict[str, int]:
    """Return a day's numbers: jobs that ended, that failed, and that nothing more was heard of; deliveries given up."""
    ends = {name: CATALOGUE.types[name].outcome for name in counts if _is_ending(name)}
    unknown = (Outcome.UNKNOWN, Outcome.DELETED)
    return {
        "ended": sum(counts[name] for name, outcome in ends.items() if outcome not in unknown),
        "failed": sum(counts[name] for name, outcome in ends.items() if outcome is Outcome.FAILED),
        "lost": sum(counts[name] for name, outcome in ends.items() if outcome in unknown),
        "parked": counts.get("parked", 0),
    }


def _is_ending(type_: str) -> bool:
    known = CATALOGUE.types.get(type_)
    return known is not None and known.ending


PAGES = (DashboardPage(path="/", read=read_now),)

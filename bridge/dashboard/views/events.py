"""Events: the feed, filtered; and one event with what it was sent to."""

import json

from bridge.dashboard.filters import link, list_chips
from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.views.rows import show_deliveries
from bridge.errors import ValidationFailed
from bridge.providers.registry import CATALOGUE, KINDS
from bridge.services import event_lists, events
from bridge.services.deliveries.browse import DeliveryRow
from bridge.services.deliveries.lists import list_deliveries
from bridge.store.records import Wanted

PAGE = 50
LOOKED = 2_000
NAMES = ("type", "kind", "job_id")
BODY_CHARS = 20_000


async def read_events(visit: Visit) -> View:
    """Read the list."""
    query = {name: value for name, value in visit.query.items() if name in (*NAMES, "before")}
    before = query.get("before", "")
    if before and not (before.isdecimal() and len(before) < 16):
        raise ValidationFailed("before", "not a position: use the links of the list")
    if query.get("type") and query["type"] not in CATALOGUE.types:
        raise ValidationFailed("type", "not an event type")
    found, more = await event_lists.list_events(
        visit.services,
        visit.project,
        type_=query.get("type") or None,
        kind=query.get("kind") or None,
        job_id=query.get("job_id") or None,
        before=int(before) if before else None,
        limit=PAGE,
        most=LOOKED,
    )
    jobs = (await visit.services.store.load_many(Wanted(jobs=sorted({each.job for each, _ in found})))).jobs
    here = {name: value for name, value in query.items() if name != "before"}
    values = {
        "rows": [
            {
                "id": each.id,
                "type": each.type,
                "at_ms": each.at_ms,
                "kind": jobs[each.job].record.kind if each.job in jobs else "",
                "job_id": jobs[each.job].record.id if each.job in jobs else "",
            }
            for each, _ in found
        ],
        "types": sorted(CATALOGUE.types),
        "kinds": list(KINDS),
        "query": here,
        "chips": list_chips("/events", query, NAMES),
        "newest": link("/events", here),
        "older": link("/events", here, before=str(more)) if more is not None else None,
        "is_first": not before,
        "is_short": more is not None and len(found) < PAGE,
        "looked": LOOKED,
    }
    return View(title="Events", template="events.html", values=values)


async def read_event(visit: Visit) -> View:
    """Read one event with its deliveries."""
    services = visit.services
    event = await events.get_event(services, visit.project, visit.path["id"])
    found, _ = await list_deliveries(services, visit.project, event_id=event.id, limit=PAGE)
    jobs = (await services.store.load_many(Wanted(jobs=[event.job]))).jobs
    text = json.dumps(json.loads(event.body), indent=2, ensure_ascii=False)
    values = {
        "event": event,
        "job": jobs[event.job].record if event.job in jobs else None,
        "rows": await show_deliveries(
            visit, [DeliveryRow(delivery=each, due_ms=due_ms) for each, due_ms in found]
        ),
        "body": text[:BODY_CHARS],
        "is_cut": len(text) > BODY_CHARS,
    }
    return View(title=f"Event {event.id}", template="event.html", values=values)


PAGES = (DashboardPage(path="/events", read=read_events), DashboardPage(path="/events/{id}", read=read_event))

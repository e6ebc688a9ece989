"""Deliveries: saved views, filters, one delivery with all its attempts, and bulk recovery."""

import json
from typing import Any
from urllib.parse import parse_qsl

from bridge.api.responses.next_attempts import describe_next_attempt, name_place
from bridge.dashboard.filters import NAMES, STATE_WORDS, VIEWS, link, list_chips, read_filter
from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.views.rows import group_by_receiver, list_receivers, show_deliveries
from bridge.dashboard.words import name_delivery
from bridge.domain.deliveries.attempts import ATTEMPTS_KEPT
from bridge.domain.deliveries.records import Delivery, DeliveryState, hash_body
from bridge.domain.ids import is_endpoint
from bridge.domain.tasks import per_second
from bridge.providers.registry import CATALOGUE, KINDS
from bridge.services.deliveries.admin import get_delivery
from bridge.services.deliveries.browse import Browsed, DeliveryRow, browse
from bridge.services.deliveries.delivery_filter import TROUBLE, DeliveryFilter
from bridge.services.deliveries.lists import next_attempts_ms
from bridge.services.deliveries.preview import RequestPreview, preview_request
from bridge.services.deliveries.waits import find_waits
from bridge.services.queries import load_deliveries
from bridge.services.tasks.start import find_task
from bridge.store.records import Wanted

GROUPS = 8
TOUCHED = 50  # deliveries that a task has sent again which its page shows
SAMPLED = 500  # deliveries whose receivers are told before a recovery


async def read_deliveries(visit: Visit) -> View:
    """Read the list."""
    now_ms = visit.services.clock_ms()
    query = {name: value for name, value in visit.query.items() if name in (*NAMES, "cursor")}
    wanted = read_filter(query, now_ms=now_ms)
    found = await browse(visit.services, visit.project, wanted, cursor=query.get("cursor"))
    own = await visit.services.store.dashboard.list_views(visit.project)
    here = {name: value for name, value in query.items() if name != "cursor"}
    views = [(name, link("/deliveries", chosen), chosen == here) for name, chosen in VIEWS.items()]
    views += [(name, f"/deliveries?{text}", dict(parse_qsl(text)) == here) for name, text in own.items()]
    values = {
        "rows": await show_deliveries(visit, found.rows),
        "found": found,
        "groups": await _group(visit, wanted, found),
        "is_whole": await visit.services.store.troubles.is_whole(),
        "has_parked": any(row.delivery.state is DeliveryState.PARKED for row in found.rows),
        "views": views,
        "own_views": own,
        "chips": list_chips("/deliveries", query),
        "query": here,
        "query_text": link("", here).removeprefix("?"),
        "newest": link("/deliveries", here),
        "older": link("/deliveries", here, cursor=found.cursor) if found.cursor else None,
        "is_first": "cursor" not in query,
        "recover": link("/deliveries/recover", here),
        "by_receiver": lambda receiver: link("/deliveries", here, receiver=receiver),
        "states": STATE_WORDS,
        "types": sorted(CATALOGUE.types),
        "kinds": list(KINDS),
        "accounts": [
            (each.id, each.name or each.provider)
            for each in await visit.services.store.accounts.list_recent(visit.project)
        ],
    }
    return View(title="Deliveries", template="deliveries.html", values=values)


async def _group(visit: Visit, wanted: DeliveryFilter, found: Browsed) -> list[tuple[str, int, str]]:
    """Return the receivers of all that is in trouble, if that is what is shown; else those of the rows."""
    if found.total is None or wanted.states != TROUBLE or wanted.since_ms or wanted.until_ms:
        return group_by_receiver(found.rows)
    counted = await visit.services.store.troubles.receivers(visit.project, most=GROUPS)
    return list_receivers(counted, found.rows)


async def read_delivery(visit: Visit) -> View:
    """Read one delivery: each attempt, what was sent, what came back, what comes next."""
    services = visit.services
    each = await get_delivery(services, visit.project, visit.path["id"])
    page = await services.store.load_many(Wanted(events=[each.event], jobs=[each.job]))
    event, job = page.events.get(each.event), page.jobs.get(each.job)
    due_ms = (await next_attempts_ms(services, [each]))[each.id]
    wait = (await find_waits(services, [each], {each.id: due_ms})).get(each.id)
    request = await preview_request(services, each, whole=visit.can("manage"))
    values = {
        "delivery": each,
        "badge": name_delivery(each, due_ms),
        "receiver": name_place(each.lane),
        "event_type": event.record.type if event else "event gone",
        "job": job.record if job else None,
        "next": _say_next(
            each, due_ms, "" if wait is None or due_ms is None else describe_next_attempt(each, due_ms, wait)
        ),
        "due_ms": due_ms if due_ms and due_ms > 0 else None,
        "request": request,
        "body": _pretty(request.body) if request else "",
        "is_as_sent": _is_as_sent(each, request),
        "first": each.tries - len(each.attempts) + 1,
        "kept": ATTEMPTS_KEPT,
        "is_endpoint": is_endpoint(each.subscription),
        "may_retry": each.state in (DeliveryState.PENDING, DeliveryState.PARKED),
        "place_of": name_place,
    }
    return View(title=f"Delivery {each.id}", template="delivery.html", values=values)


def _say_next(delivery: Delivery, due_ms: int | None, waits: str) -> str:
    if delivery.state is DeliveryState.SUCCEEDED:
        return "It was received; nothing more is sent."
    if delivery.state is DeliveryState.CANCELLED:
        return f"Cancelled: {delivery.reason or 'nothing more is sent'}."
    if delivery.state is DeliveryState.PARKED:
        return f"Parked: {delivery.reason or 'all attempts failed'}. A person must send it again."
    last = f" {delivery.attempts[-1].reason}" if delivery.attempts else ""
    if waits:
        return waits + last
    if due_ms is not None and due_ms < 0:
        return f"Attempt {delivery.tries + 1} is in flight."
    return f"Attempt {delivery.tries + 1} to {name_place(delivery.lane)}.{last}"


def _is_as_sent(delivery: Delivery, request: RequestPreview | None) -> bool | None:
    """Return whether a body is the one that the last attempt sent, None where that is not known."""
    sent = delivery.attempts[-1].body if delivery.attempts else b""
    return hash_body(request.body) == sent if request is not None and sent else None


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.decode("utf-8", "replace")


async def read_recover(visit: Visit) -> View:
    """Read what a bulk recovery would send, before it is confirmed."""
    visit.need("manage")
    now_ms = visit.services.clock_ms()
    query = {name: value for name, value in visit.query.items() if name in NAMES}
    if not query.get("state"):
        query["state"] = "parked"
    wanted = read_filter(query, now_ms=now_ms)
    found = await browse(visit.services, visit.project, wanted, limit=SAMPLED)
    parked = [row for row in found.rows if row.delivery.state is DeliveryState.PARKED]
    left_out = len(found.rows) - len(parked)
    values: dict[str, Any] = {
        "count": len(parked) if found.total is None else found.total - left_out,
        "left_out": left_out,
        "is_bounded": found.cursor is not None and found.total is None,
        "sampled": len(parked) if found.cursor is not None else None,
        "groups": group_by_receiver(parked),
        "oldest_ms": min((row.delivery.created_ms for row in parked), default=None)
        if found.cursor is None
        else None,
        "chips": list_chips("/deliveries/recover", query),
        "query_text": link("", query).removeprefix("?"),
        "back": link("/deliveries", query),
    }
    return View(title="Recover deliveries", template="recover.html", values=values)


async def read_task(visit: Visit) -> View:
    """Read how far a task is."""
    task = await find_task(visit.services, visit.project, visit.path["id"])
    rate = per_second(task, now_ms=visit.services.clock_ms())
    total = max(task.total, task.looked, 1)
    services = visit.services
    ids = await services.store.tasks.list_touched(task.id, limit=TOUCHED)
    found = [each.record for each in await load_deliveries(services.store, ids)]
    dues = await next_attempts_ms(services, found)
    rows = [DeliveryRow(delivery=each, due_ms=dues[each.id]) for each in found]
    values = {
        "task": task,
        "total": total,
        "rows": await show_deliveries(visit, rows),
        "rate": rate,
        "left_s": (total - task.looked) / rate if rate and not task.has_ended else None,
    }
    return View(title="Task", template="task.html", values=values)


PAGES = (
    DashboardPage(path="/deliveries", read=read_deliveries),
    DashboardPage(path="/deliveries/recover", read=read_recover),
    DashboardPage(path="/tasks/{id}", read=read_task),
    DashboardPage(path="/deliveries/{id}", read=read_delivery),
)

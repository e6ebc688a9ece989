"""What can be done with deliveries, events and saved views."""

from urllib.parse import parse_qsl

from msgspec import to_builtins

from bridge.dashboard.actions.tasks import begin_task
from bridge.dashboard.filters import NAMES, VIEWS, link, read_filter
from bridge.dashboard.page import Action, Done, Visit
from bridge.domain.counts import say_count
from bridge.domain.deliveries.records import DeliveryState
from bridge.errors import ValidationFailed
from bridge.services import events
from bridge.services.deliveries import admin
from bridge.services.deliveries.recovery import Recovery, count_deliveries, first_cursor
from bridge.services.tasks.kinds import RECOVER_DELIVERIES

MOST_VIEWS = 20
MOST_NAME_CHARS = 40


async def retry(visit: Visit) -> Done:
    """Send one delivery again now."""
    delivery = await admin.retry(visit.services, visit.project, visit.path["id"])
    return Done(
        to=visit.form.get("back") or f"/deliveries/{delivery.id}", notice="One attempt more begins now."
    )


async def resend(visit: Visit) -> Done:
    """Send an event again to everybody that it was sent to."""
    event = visit.path["id"]
    again = await events.resend(visit.services, visit.project, event)
    notice = f"The event goes again to {say_count(len(again), 'receiver')}, marked webhook-resend."
    return Done(to=visit.form.get("back") or f"/events/{event}", notice=notice)


def _read_query(visit: Visit) -> dict[str, str]:
    pairs = parse_qsl(visit.form.get("query", ""))
    return {name: value for name, value in pairs if name in NAMES}


async def begin_recovery(visit: Visit) -> Done:
    """Begin to send all parked deliveries again that match a list's filter; a task does it."""
    services, now_ms = visit.services, visit.services.clock_ms()
    chosen = read_filter(_read_query(visit), now_ms=now_ms)
    wanted = Recovery(
        since_ms=chosen.since_ms,
        until_ms=min(chosen.until_ms or now_ms, now_ms),
        state=DeliveryState.PARKED,
        receiver=chosen.receiver,
        answer=chosen.answer,
        subscription=chosen.subscription,
        type=chosen.type,
        kind=chosen.kind,
        account=chosen.account,
    )
    total = await count_deliveries(services, visit.project, wanted)
    return await begin_task(
        visit, RECOVER_DELIVERIES, to_builtins(wanted), total=total, cursor=first_cursor(wanted)
    )


async def save_view(visit: Visit) -> Done:
    """Keep a list's filter under a name, for all of the project."""
    name, query = visit.form.get("name", "").strip(), _read_query(visit)
    if not name or len(name) > MOST_NAME_CHARS or not name.isprintable() or name in VIEWS:
        raise ValidationFailed(
            "name", f"give the view a name of its own, of at most {MOST_NAME_CHARS} characters"
        )
    text = link("", query).removeprefix("?")
    if not await visit.services.store.dashboard.save_view(visit.project, name, text, most=MOST_VIEWS):
        raise ValidationFailed("name", f"there are {MOST_VIEWS} views already: remove one first")
    return Done(
        to=link("/deliveries", query), notice=f"The view {name} is saved for all who use this project."
    )


async def drop_view(visit: Visit) -> Done:
    """Forget a saved view."""
    await visit.services.store.dashboard.drop_view(visit.project, visit.form.get("name", "")[:100])
    return Done(to="/deliveries", notice="The view is removed.")


ACTIONS = (
    Action(path="/deliveries/recover", act=begin_recovery, scope="manage"),
    Action(path="/deliveries/views", act=save_view, scope="manage"),
    Action(path="/deliveries/views/remove", act=drop_view, scope="manage"),
    Action(path="/deliveries/{id}/retry", act=retry, scope="manage"),
    Action(path="/events/{id}/resend", act=resend, scope="manage"),
)

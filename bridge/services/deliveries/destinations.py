"""Where deliveries go now, and which of them would not be sent if they were due."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bridge.domain.deliveries.records import Delivery
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.subscription import Subscription
from bridge.services.context import Services
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.services.subscriptions.lookup import find_subscription, load_tables
from bridge.store.records import Wanted


class Destination(Struct, frozen=True, kw_only=True, gc=False):
    """The lane of a delivery, and why a worker would not send it; `refusal` is empty where it would."""

    lane: str
    refusal: str = ""


async def find_destinations(services: Services, deliveries: Sequence[Delivery]) -> Mapping[str, Destination]:
    """Return by id where each delivery goes now: a subscription's URL may have changed since it was sent."""
    wanted = Wanted(
        jobs=sorted({each.job for each in deliveries}), epochs=sorted({each.project for each in deliveries})
    )
    page = await services.store.load_many(wanted)
    tables = await load_tables(services.store, page)
    found: dict[str, Destination] = {}
    for each in deliveries:
        to = find_subscription(each, page, tables)
        lane = lane_of(services.store.vault, each.project, to) if to else each.lane
        found[each.id] = Destination(lane=lane, refusal=_refuse(each, to))
    return found


def _refuse(delivery: Delivery, to: Subscription | None) -> str:
    """Return why nothing is sent; what is marked as sent again by a person goes to all that still exist."""
    if to is None:
        return "its callback or endpoint was deleted"
    if delivery.resend:
        return ""
    if isinstance(to, Endpoint) and not to.enabled:
        return "its endpoint is disabled: enable it first"
    return "its callback was cancelled" if to.is_stopped else ""

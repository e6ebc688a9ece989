"""Keep the rate limits of endpoints: which of the deliveries that are due must wait, and how long."""

from collections import defaultdict
from collections.abc import Iterable

from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.services.context import Services
from bridge.services.deliveries.attempt import ReadyDelivery
from bridge.store.endpoints.endpoint_pace import PaceAsk, interval_ms


async def pace(services: Services, due: Iterable[ReadyDelivery]) -> dict[str, int]:
    """Take what the limits allow; return by id in how many milliseconds the other deliveries are due again.

    Those come evenly, so that a long queue is not looked at as a whole each time. A wait is no attempt.
    """
    limited: dict[str, list[ReadyDelivery]] = defaultdict(list)
    for each in due:
        if isinstance(each.subscription, Endpoint) and each.subscription.rate is not None:
            limited[each.subscription.id].append(each)
    asked = [_ask(each) for each in limited.values()]
    waits: dict[str, int] = {}
    for ask, grant in zip(asked, await services.store.endpoint_pace.take(asked), strict=True):
        step_ms = interval_ms(ask.rate)
        for place, each in enumerate(limited[ask.endpoint][grant.granted :]):
            waits[each.delivery.record.id] = round(grant.wait_ms + place * step_ms)
    return waits


def _ask(due: list[ReadyDelivery]) -> PaceAsk:
    endpoint = due[0].subscription
    assert isinstance(endpoint, Endpoint)
    assert endpoint.rate is not None
    return PaceAsk(endpoint.project, endpoint.id, endpoint.rate, len(due))

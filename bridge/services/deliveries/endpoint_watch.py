"""After an attempt to an endpoint: count its failure, warn a day before it is disabled, and disable it."""

from bridge.domain.deliveries.outcome import ANSWERED, OFFLINE, UNSENT
from bridge.domain.deliveries.records import Delivery
from bridge.domain.subscriptions.endpoint_trouble import EndpointTrouble, is_near_end, is_over
from bridge.services.context import Services
from bridge.services.deliveries.notices import DISABLED, FAILING, explain_trouble, tell_of_endpoint
from bridge.services.subscriptions.endpoints import disable


async def watch_endpoint(services: Services, before: Delivery, outcome: str) -> None:
    """Note how an attempt of a delivery to an endpoint fared; `before` is the delivery before it.

    Only the first attempt counts as a failure, and only if somebody else's fault is certain: not where nothing was sent, nor
    where no host at all could be reached lately, since then the trouble may be ours.
    """
    whose = (before.project, before.subscription)
    if outcome == ANSWERED:
        await services.store.endpoint_troubles.note_success(*whose)
        return
    if outcome in (UNSENT, OFFLINE) or before.tries > 0 or before.resend:
        return
    trouble = await services.store.endpoint_troubles.note_failure(*whose)
    await _judge(services, before, trouble)


async def _judge(services: Services, delivery: Delivery, trouble: EndpointTrouble) -> None:
    now_ms = services.clock_ms()
    if is_over(trouble, now_ms=now_ms):
        reason = explain_trouble(trouble.since_ms, now_ms=now_ms)
        disabled = await disable(
            services, delivery.project, delivery.subscription, lane=delivery.lane, reason=reason
        )
        if disabled is not None:
            await tell_of_endpoint(services, disabled, delivery, DISABLED, trouble=trouble)
    elif not trouble.warned_ms and is_near_end(trouble, now_ms=now_ms):
        endpoint = (await services.store.endpoints.table(delivery.project)).by_id.get(delivery.subscription)
        if endpoint and await services.store.endpoint_troubles.note_warning(
            delivery.project, delivery.subscription
        ):
            await tell_of_endpoint(services, endpoint, delivery, FAILING, trouble=trouble)

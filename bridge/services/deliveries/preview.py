"""Show the request that a delivery makes, without its secrets and its signature."""

from dataclasses import dataclass

from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.event import build_body
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.deliveries.request import MASK
from bridge.services.subscriptions.lookup import find_subscription, load_tables
from bridge.services.subscriptions.sealing import open_headers, open_url, show_url
from bridge.store.records import Wanted
from bridge.store.vault import VaultError


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPreview:
    """A request as it would be made now: its URL as far as it may be seen, its headers with values masked, its body."""

    url: str
    headers: dict[str, str]
    body: bytes


async def preview_request(services: Services, delivery: Delivery, *, whole: bool) -> RequestPreview | None:
    """Return the request of a delivery; `whole` shows the whole URL. None where its event or subscription is gone."""
    page = await services.store.load_many(
        Wanted(events=[delivery.event], jobs=[delivery.job], epochs=[delivery.project])
    )
    event = page.events.get(delivery.event)
    subscription = find_subscription(delivery, page, await load_tables(services.store, page))
    if event is None or subscription is None:
        return None
    vault = services.store.vault
    body = build_body(
        CATALOGUE,
        event.record.body,
        payload=subscription.payload,
        subscription_id=subscription.id,
        callbacks=event.record.job_callbacks,
        metadata=subscription.metadata,
        resend=delivery.resend,
        late=delivery.late,
        base_url=services.settings.base_url,
    )
    try:
        own = dict.fromkeys(open_headers(vault, subscription), MASK)
        url = open_url(vault, subscription) if whole else show_url(vault, subscription)
    except VaultError:
        own, url = {}, show_url(vault, subscription)
    headers = {
        **own,
        "content-type": "application/json",
        "webhook-id": delivery.event,
        "webhook-timestamp": "of the attempt",
        "webhook-signature": "v1,… (made anew for each attempt)",
    }
    return RequestPreview(url=url, headers=headers, body=body)

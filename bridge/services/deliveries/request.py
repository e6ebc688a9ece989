"""From a delivery to the request that carries it: the body for this subscription, its headers and signatures."""

import json

from msgspec import Struct

from bridge.domain.deliveries.records import Delivery
from bridge.domain.deliveries.signing import sign
from bridge.domain.events.event import build_body
from bridge.domain.events.records import EventRecord
from bridge.domain.subscriptions.callback import Callback
from bridge.domain.times import iso_ms
from bridge.services.context import Services

MASK = "***"
# A rotated secret signs for 24 h more, so a second's delay is nobody's loss.
SECRETS_KEPT_MS = 1_000
SECRETS_SERVE_MS = 2_000  # while they are read anew, all others sign with those they have
NOT_READ: tuple[int, list[str]] = (-SECRETS_SERVE_MS, [])


class DeliveryRequest(Struct, frozen=True, kw_only=True, gc=False):
    """One request in clear; never logged."""

    url: str
    headers: dict[str, str]
    body: bytes
    secret_headers: frozenset[str] = frozenset()

    def as_inbox_entry(self, now_ms: int) -> bytes:
        """Give what the built-in inbox keeps: a receiver's view of the request."""
        entry = {
            "id": self.headers["webhook-id"],
            "received_at": iso_ms(now_ms),
            "headers": {"content-type": "application/json", **self._shown_headers()},
            "body": json.loads(self.body),
        }
        return json.dumps(entry, separators=(",", ":")).encode()

    def _shown_headers(self) -> dict[str, str]:
        """The receiver's own headers are write-only: their names are enough to see that they were sent."""
        return {name: MASK if name in self.secret_headers else value for name, value in self.headers.items()}


class RequestBuilder:
    """Seals deliveries; a project's secrets are kept for a second."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._base_url = services.settings.base_url
        self._secrets: dict[str, tuple[int, list[str]]] = {}
        self._reading: set[str] = set()

    async def seal(
        self, delivery: Delivery, event: EventRecord, callback: Callback, *, now_ms: int
    ) -> DeliveryRequest:
        """Make the request of one attempt, signed at `now_ms`."""
        vault = self._services.store.vault
        url = vault.open(callback.url, record=callback.id).decode()
        body = build_body(
            event.body,
            payload=callback.payload,
            callback_id=callback.id,
            metadata=callback.metadata,
            resend=delivery.resend,
            base_url=self._base_url,
        )
        timestamp_s = now_ms // 1000
        secrets = await self._secrets_of(delivery.project, callback, now_ms)
        signature = sign(secrets, event_id=event.id, timestamp_s=timestamp_s, body=body)
        own = json.loads(vault.open(callback.headers, record=callback.id)) if callback.headers else {}
        headers = {
            **own,
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signature,
        }
        if delivery.resend:
            headers["webhook-resend"] = "true"
        return DeliveryRequest(url=url, headers=headers, body=body, secret_headers=frozenset(own))

    async def _secrets_of(self, project: str, callback: Callback, now_ms: int) -> list[str]:
        if callback.secret is not None:
            return [self._services.store.vault.open(callback.secret, record=callback.id).decode()]
        read_ms, secrets = self._secrets.get(project, NOT_READ)
        lasts_ms = SECRETS_SERVE_MS if project in self._reading else SECRETS_KEPT_MS
        if now_ms - read_ms < lasts_ms:
            return secrets
        self._reading.add(project)
        try:
            valid = await self._services.store.projects.default_secret(project)
        finally:
            self._reading.discard(project)
        secrets = [valid.current, valid.previous] if valid.previous else [valid.current]
        self._secrets[project] = (now_ms, secrets)
        return secrets

"""Build the signed request that carries an event to a subscription."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct

from bridge.domain.deliveries.signing import sign
from bridge.domain.events.event import build_body
from bridge.domain.events.records import EventRecord
from bridge.domain.subscriptions.subscription import Subscription
from bridge.domain.times import iso_ms
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.subscriptions.sealing import open_headers, open_secrets, open_url
from bridge.store.vault import VaultError

MASK = "***"
# A rotated secret goes on signing for 24 h, so a second's delay in using the new one does no harm.
SECRETS_KEPT_MS = 1_000
SECRETS_KEPT_WHILE_READING_MS = 2_000  # while one delivery loads them, the others sign with the last ones
NEVER_READ: tuple[int, list[str]] = (-SECRETS_KEPT_WHILE_READING_MS, [])


class DeliveryRequest(Struct, frozen=True, kw_only=True, gc=False):
    """A POST with its secrets in clear, which must not be logged; `secret_headers` are write-only for API clients."""

    url: str
    headers: dict[str, str]
    body: bytes
    secret_headers: frozenset[str] = frozenset()

    def as_inbox_entry(self, now_ms: int) -> bytes:
        """Return the request as the built-in inbox stores it, in JSON."""
        entry = {
            "id": self.headers["webhook-id"],
            "received_at": iso_ms(now_ms),
            "headers": {"content-type": "application/json", **self._masked_headers()},
            "body": json.loads(self.body),
        }
        return json.dumps(entry, separators=(",", ":")).encode()

    def _masked_headers(self) -> dict[str, str]:
        """Return the headers with secret values masked."""
        return {name: MASK if name in self.secret_headers else value for name, value in self.headers.items()}


def sign_request(
    url: str,
    body: bytes,
    *,
    event_id: str,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    now_ms: int,
    resend: bool = False,
) -> DeliveryRequest:
    """Return the request, signed with each of `secrets`; `headers` are the receiver's own.

    `resend` marks an event that is sent again on a client's request.
    """
    timestamp_s = now_ms // 1000
    ours = {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(secrets, event_id=event_id, timestamp_s=timestamp_s, body=body),
    }
    if resend:
        ours["webhook-resend"] = "true"
    return DeliveryRequest(url=url, headers={**headers, **ours}, body=body, secret_headers=frozenset(headers))


class RequestBuilder:
    """Builds requests; caches each project's signing secrets for a second."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._base_url = services.settings.base_url
        self._secrets: dict[str, tuple[int, list[str]]] = {}
        self._reading: dict[str, asyncio.Task[list[str]]] = {}

    async def build(
        self,
        event: EventRecord,
        subscription: Subscription,
        *,
        companions: Sequence[Subscription] = (),
        resend: bool,
        late: bool = False,
        now_ms: int,
    ) -> DeliveryRequest:
        """Return the request of one attempt, signed at `now_ms`; `late`: the subscription had heard `.timed_out`.

        The secrets of its `companions` sign it too, after its own.

        Raise `VaultError` if a stored secret of the subscription cannot be decrypted.
        """
        vault = self._services.store.vault
        body = build_body(
            CATALOGUE,
            event.body,
            payload=subscription.payload,
            subscription_id=subscription.id,
            callbacks=event.job_callbacks,
            metadata=subscription.metadata,
            resend=resend,
            late=late,
            base_url=self._base_url,
        )
        secrets = self._known_secrets(event.project, subscription, now_ms)
        if secrets is None or companions:
            secrets = await self._list_secrets(event.project, subscription, companions, now_ms)
        return sign_request(
            open_url(vault, subscription),
            body,
            event_id=event.id,
            secrets=secrets if len(secrets) == 1 else list(dict.fromkeys(secrets)),
            headers=open_headers(vault, subscription),
            now_ms=now_ms,
            resend=resend,
        )

    def _known_secrets(self, project: str, subscription: Subscription, now_ms: int) -> list[str] | None:
        """Return the secrets of one subscription, None where those of its project must be read."""
        own = open_secrets(self._services.store.vault, subscription, now_ms=now_ms)
        return own or self._kept_secrets(project, now_ms)

    async def _list_secrets(
        self, project: str, subscription: Subscription, companions: Sequence[Subscription], now_ms: int
    ) -> list[str]:
        """Return the secrets of a subscription, then those of its companions."""
        secrets = await self._secrets_of(project, subscription, now_ms)
        for each in companions:
            with suppress(VaultError):  # that one's own deliveries show that its secret does not open
                secrets = [*secrets, *await self._secrets_of(project, each, now_ms)]
        return secrets

    async def _secrets_of(self, project: str, subscription: Subscription, now_ms: int) -> list[str]:
        known = self._known_secrets(project, subscription, now_ms)
        return await self._project_secrets(project, now_ms) if known is None else known

    def _kept_secrets(self, project: str, now_ms: int) -> list[str] | None:
        """Return a project's signing secrets as far as they are kept, the newest first."""
        read_ms, secrets = self._secrets.get(project, NEVER_READ)
        lasts_ms = SECRETS_KEPT_WHILE_READING_MS if project in self._reading else SECRETS_KEPT_MS
        return secrets if now_ms - read_ms < lasts_ms else None

    async def _project_secrets(self, project: str, now_ms: int) -> list[str]:
        """Read a project's signing secrets, the newest first, and keep them; who asks during a read shares it."""
        reading = self._reading.get(project)
        if reading is None:
            reading = self._reading[project] = asyncio.ensure_future(self._read_secrets(project, now_ms))
            reading.add_done_callback(partial(self._end_reading, project))
        return await asyncio.shield(reading)  # shielded, because others may wait for it too

    def _end_reading(self, project: str, reading: asyncio.Task[list[str]]) -> None:
        del self._reading[project]
        if not reading.cancelled():
            reading.exception()  # seen here too: whoever waited for it may be gone

    async def _read_secrets(self, project: str, now_ms: int) -> list[str]:
        valid = await self._services.store.projects.default_secret(project)
        self._secrets[project] = (now_ms, valid.signing)
        return valid.signing

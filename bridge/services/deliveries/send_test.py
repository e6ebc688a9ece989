"""Send a sample event to a URL, to test its receiver."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.domain.deliveries.retry import ReceiverAnswer
from bridge.domain.events.samples import METADATA, test_body
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.deliveries.request import sign_request
from bridge.services.subscriptions.sealing import open_headers, open_secrets, open_url


async def send_test(
    services: Services,
    project: str,
    url: str,
    *,
    type_: str,
    payload: str = "full",
    headers: Mapping[str, str] | None = None,
    signing: Sequence[str] = (),
    subscription_id: str | None = None,
    metadata: Any = METADATA,
) -> tuple[str, ReceiverAnswer]:
    """Send a sample of an event type, signed as a delivery is; return its id and the receiver's answer.

    Without secrets in `signing` it is signed with the project's, after a rotation with both. `subscription_id` is what the
    body names as its receiver, by default a made-up callback. Nothing is stored.
    """
    event_id = f"evt_test_{secrets.token_hex(12)}"
    now_ms = services.clock_ms()
    request = sign_request(
        url,
        test_body(
            CATALOGUE,
            type_=type_,
            event_id=event_id,
            at_ms=now_ms,
            payload=payload,
            base_url=services.settings.base_url,
            metadata=metadata,
            **({} if subscription_id is None else {"subscription_id": subscription_id}),
        ),
        event_id=event_id,
        secrets=signing or (await services.store.projects.default_secret(project)).signing,
        headers=headers or {},
        now_ms=now_ms,
    )
    answer = await services.sender.post(
        request.url, headers=request.headers, body=request.body, timeout_s=services.settings.attempt_timeout
    )
    return event_id, answer


async def send_test_to(services: Services, endpoint: Endpoint, *, type_: str) -> tuple[str, ReceiverAnswer]:
    """Send a sample of an event type to an endpoint as its deliveries are sent; see `send_test`."""
    vault = services.store.vault
    return await send_test(
        services,
        endpoint.project,
        open_url(vault, endpoint),
        type_=type_,
        payload=endpoint.payload,
        headers=open_headers(vault, endpoint),
        signing=open_secrets(vault, endpoint, now_ms=services.clock_ms()),
        subscription_id=endpoint.id,
        metadata=METADATA if endpoint.metadata is None else endpoint.metadata,
    )

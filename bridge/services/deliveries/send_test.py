"""Send a sample event to a URL, to test its receiver."""

import secrets
from collections.abc import Mapping

from bridge.domain.deliveries.retry import ReceiverAnswer
from bridge.domain.events.samples import test_body
from bridge.domain.urls.policy import CheckedUrl
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.deliveries.request import sign_request


async def send_test(
    services: Services,
    project: str,
    url: CheckedUrl,
    *,
    type_: str,
    payload: str = "full",
    headers: Mapping[str, str] | None = None,
    secret: str | None = None,
) -> tuple[str, ReceiverAnswer]:
    """Send a sample of an event type, signed as a delivery is; return its id and the receiver's answer.

    Without `secret` it is signed with the project's, after a rotation with both. Nothing is stored.
    """
    event_id = f"evt_test_{secrets.token_hex(12)}"
    now_ms = services.clock_ms()
    request = sign_request(
        url.text,
        test_body(
            CATALOGUE,
            type_=type_,
            event_id=event_id,
            at_ms=now_ms,
            payload=payload,
            base_url=services.settings.base_url,
        ),
        event_id=event_id,
        secrets=[secret] if secret else (await services.store.projects.default_secret(project)).signing,
        headers=headers or {},
        now_ms=now_ms,
    )
    answer = await services.sender.post(
        request.url, headers=request.headers, body=request.body, timeout_s=services.settings.attempt_timeout
    )
    return event_id, answer

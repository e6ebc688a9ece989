"""`reelbridge trigger`: post a sample of an event type, signed, to a URL."""

import asyncio
import secrets
import time
from collections.abc import Callable
from difflib import get_close_matches

from bridge.cli.commands.receiver import check_receiver, check_signing_secret, sending
from bridge.cli.local.errors import CommandError
from bridge.config.settings import Settings
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, judge
from bridge.domain.deliveries.signing import sign
from bridge.domain.events.samples import samples
from bridge.domain.js_json import to_js_json
from bridge.domain.printable import printable
from bridge.domain.urls.policy import CheckedUrl, UrlPolicy
from bridge.providers.registry import CATALOGUE


def check_type(type_: str) -> None:
    """Raise `CommandError` for a type that is not in the catalogue; the message names the nearest ones."""
    if type_ in CATALOGUE.types:
        return
    near = get_close_matches(type_, CATALOGUE.types, n=3) or sorted(CATALOGUE.types)[:3]
    raise CommandError(
        f"{type_} is no event type; there are {', '.join(near)} and others: see GET /v1/event-types"
    )


def run_trigger(
    settings: Settings,
    *,
    type_: str,
    url: str,
    secret: str,
    payload: str,
    show: Callable[[str], None] = print,
) -> int:
    """Make one attempt and print its outcome; return 0 when the receiver accepted the event, else 1."""
    check_type(type_)
    policy, checked = check_receiver(settings, url, option="--to")
    check_signing_secret(secret)
    event_id = f"evt_test_{secrets.token_hex(12)}"
    body = _sample(type_, event_id=event_id, payload=payload, base_url=settings.base_url)
    answer = asyncio.run(_send(settings, policy, checked, event_id=event_id, body=body, secret=secret))
    good = judge(answer) in {Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING}
    show(f"{'✔' if good else '✘'} {type_} {event_id} to {printable(checked.masked)}")
    show(f"  {printable(answer.reason)} ({answer.duration_ms} ms)")
    if answer.excerpt:
        show(f"  {printable(answer.excerpt)}")
    return 0 if good else 1


def _sample(type_: str, *, event_id: str, payload: str, base_url: str) -> bytes:
    """Return the catalogue's sample with a new id, because a receiver may drop an id that it has seen."""
    body = samples(CATALOGUE, type_, payload=payload, base_url=base_url)[0]
    return to_js_json(body | {"id": event_id, "test": True})


async def _send(
    settings: Settings, policy: UrlPolicy, url: CheckedUrl, *, event_id: str, body: bytes, secret: str
) -> ReceiverAnswer:
    sent_s = int(time.time())
    async with sending(policy) as sender:
        return await sender.post(
            url.text,
            headers={
                "webhook-id": event_id,
                "webhook-timestamp": str(sent_s),
                "webhook-signature": sign([secret], event_id=event_id, timestamp_s=sent_s, body=body),
            },
            body=body,
            timeout_s=settings.attempt_timeout,
        )

"""`reelbridge trigger`: post a sample of an event type, signed, to a URL."""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from bridge.cli.commands.overrides import override
from bridge.cli.local.errors import CommandError
from bridge.cli.local.receiver import check_receiver, check_signing_secret, sending
from bridge.cli.remote.output import show_json, show_line
from bridge.config.settings import Settings
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, judge
from bridge.domain.deliveries.signing import sign
from bridge.domain.events.samples import samples
from bridge.domain.js_json import to_js_json
from bridge.domain.urls.policy import CheckedUrl, UrlPolicy
from bridge.providers.registry import CATALOGUE

_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)


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
    overrides: Sequence[str],
    as_json: bool,
) -> int:
    """Make one attempt and print its outcome; return 0 when the receiver accepted the event, else 1."""
    check_type(type_)
    policy, checked = check_receiver(settings, url, option="--to")
    check_signing_secret(secret)
    sample = override(_sample(type_, payload=payload, base_url=settings.base_url), overrides)
    event_id, body = _name(sample), to_js_json(sample)
    answer = asyncio.run(_send(settings, policy, checked, event_id=event_id, body=body, secret=secret))
    good = judge(answer) in {Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING}
    if as_json:
        told = {
            "id": event_id,
            "type": type_,
            "url": checked.masked,
            "delivered": good,
            "status": answer.status,
            "reason": answer.reason,
            "duration_ms": answer.duration_ms,
            "response_excerpt": answer.excerpt,
        }
        show_json(told)
        return 0 if good else 1
    show_line(f"{'✔' if good else '✘'} {type_} {event_id} to {checked.masked}")
    show_line(f"  {answer.reason} ({answer.duration_ms} ms)")
    if answer.excerpt:
        show_line(f"  {answer.excerpt}")
    return 0 if good else 1


def _sample(type_: str, *, payload: str, base_url: str) -> dict[str, Any]:
    """Return the catalogue's sample with a new id, because a receiver may drop an id that it has seen."""
    body = samples(CATALOGUE, type_, payload=payload, base_url=base_url)[0]
    return body | {"id": f"evt_test_{secrets.token_hex(12)}", "test": True}


def _name(sample: Mapping[str, Any]) -> str:
    """Return the id, which goes into a header too; raise `CommandError` for one that cannot."""
    event_id = sample.get("id")
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        raise CommandError("--override: an id is letters, digits, `_`, `-` and `.`, at most 200 of them")
    return event_id


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

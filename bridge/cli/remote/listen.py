"""`reelbridge listen`: forward a project's events to a URL of this machine, signed as the bridge's deliveries are."""

import json
import time
from collections import OrderedDict
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from bridge.cli.local.api_client import ApiClient
from bridge.cli.local.errors import CommandError
from bridge.cli.local.receiver import check_signing_secret, sending
from bridge.cli.remote.event_source import Block, EventSource
from bridge.cli.remote.output import show_json, show_line
from bridge.cli.remote.session import fetch_signing_secret
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, judge
from bridge.domain.deliveries.signing import sign
from bridge.domain.events.payloads import build_body
from bridge.domain.urls.policy import CheckedUrl, RefusedUrl, UrlPolicy, check_url
from bridge.http.receivers import Sender
from bridge.providers.registry import CATALOGUE

# Whoever runs the command chose the URL, so any address is right, unlike those that clients of a bridge name.
ANYWHERE = UrlPolicy(
    allow_http=True, networks=(IPv4Network("0.0.0.0/0"), IPv6Network("::/0")), own_origins=frozenset()
)
NAME: Final = "cb_listen"  # what stands in the place of a callback's id
RESENT: Final = "stream.resend"
GAP: Final = "stream.gap"
TIMEOUT_S: Final = 30.0
REMEMBERED: Final = 10_000  # ids of events; a feed may show one twice, see docs/events.md


async def listen(api: ApiClient, url: str, *, after: str, as_json: bool) -> int:
    """Forward events from now on, or behind a place, until interrupted."""
    try:
        checked = check_url(url, ANYWHERE)
    except RefusedUrl as refused:
        raise CommandError(f"--forward-to: {refused.message}") from None
    if checked.inbox:
        raise CommandError("--forward-to: use an address such as http://127.0.0.1:9000/hook")
    secret = await fetch_signing_secret(api)
    check_signing_secret(secret)
    source = EventSource(api, place=after, say=partial(_say, as_json=as_json))
    async with sending(ANYWHERE) as sender:
        forwarder = EventForwarder(sender, checked, secret)
        try:
            async for block in source.read():
                if told := await forwarder.take(block):
                    show_json(told) if as_json else show_line(_describe(told))
        finally:
            if source.place and not as_json:
                show_line(f"go on from here with --after {source.place}")
    return 0


class EventForwarder:
    """Posts the events of a stream to one URL, one after another, each once."""

    def __init__(self, sender: Sender, url: CheckedUrl, secret: str) -> None:
        self._sender = sender
        self._url = url
        self._secret = secret
        self._known: OrderedDict[str, None] = OrderedDict()

    async def take(self, block: Block) -> dict[str, Any] | None:
        """Post a block's event and return what came of it; None for one that has been posted before."""
        if block.event == GAP:
            return {
                "type": GAP,
                "reason": "some events are gone: this was away for longer than they are kept",
            }
        event = json.loads(block.data)
        resent = block.event == RESENT
        if not resent and event["id"] in self._known:
            return None
        answer = await self._post(event["id"], _build_body(block.data, resent=resent), resent=resent)
        self._known[event["id"]] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return {
            "id": event["id"],
            "type": event["type"],
            "job_id": event.get("job_id"),
            "resent": resent,
            "delivered": judge(answer) in {Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING},
            "status": answer.status,
            "reason": answer.reason,
            "duration_ms": answer.duration_ms,
        }

    async def _post(self, event_id: str, body: bytes, *, resent: bool) -> ReceiverAnswer:
        now_s = int(time.time())
        return await self._sender.post(
            self._url.text,
            headers={
                "webhook-id": event_id,
                "webhook-timestamp": str(now_s),
                "webhook-signature": sign([self._secret], event_id=event_id, timestamp_s=now_s, body=body),
                **({"webhook-resend": "true"} if resent else {}),
            },
            body=body,
            timeout_s=TIMEOUT_S,
        )


def _build_body(event: bytes, *, resent: bool) -> bytes:
    """Return the event as a callback would get it."""
    return build_body(
        CATALOGUE, event, payload="full", subscription_id=NAME, metadata=None, resend=resent, base_url=""
    )


def _describe(told: dict[str, Any]) -> str:
    if told["type"] == GAP:
        return f"! {told['reason']}"
    again = " (resent)" if told["resent"] else ""
    mark = "✔" if told["delivered"] else "✘"
    return f"{mark} {told['type']} {told['id']}{again}: {told['reason']} ({told['duration_ms']} ms)"


def _say(text: str, *, as_json: bool) -> None:
    if not as_json:
        show_line(text)

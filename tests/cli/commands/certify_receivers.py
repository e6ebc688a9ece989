"""A receiver that handles everything, and the same with one defect planted into it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.domain.deliveries.signing import sign


class GoodReceiver:
    """Verifies, drops repeats and older events, and says whether it acted upon an event."""

    body_limit = 1 << 20
    tells = True

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.known: dict[str, tuple[str, int]] = {}
        self.ids: set[str] = set()

    async def receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            event = self.verify(body, {name.lower(): value for name, value in request.headers.items()})
        except WebhookVerificationError:
            return web.Response(status=401)
        fresh = self.is_news(event)
        if fresh:
            self.act(event)
        return self.answer(fresh=fresh)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        return dict(Webhook(self.secret).verify(body, dict(headers)))

    def is_news(self, event: dict[str, Any]) -> bool:
        job, moment = f"{event['object']}/{event['job_id']}", (event["timestamp"], event["sequence"])
        fresh = moment > self.known.get(job, ("", 0))
        self.known[job] = max(moment, self.known.get(job, ("", 0)))
        return fresh

    def act(self, event: dict[str, Any]) -> None:
        """Take every event."""

    def answer(self, *, fresh: bool) -> web.Response:
        return web.json_response({"handled": fresh}) if self.tells else web.Response(status=204)


class Silent(GoodReceiver):
    tells = False


class ActsTwice(GoodReceiver):
    def is_news(self, event: dict[str, Any]) -> bool:
        super().is_news(event)
        return True


class ForgetsIds(GoodReceiver):
    """Knows the order of a job's events, and takes the latest one again."""

    def is_news(self, event: dict[str, Any]) -> bool:
        known = self.known.get(f"{event['object']}/{event['job_id']}")
        return super().is_news(event) or known == (event["timestamp"], event["sequence"])


class IgnoresOrder(GoodReceiver):
    def is_news(self, event: dict[str, Any]) -> bool:
        fresh = event["id"] not in self.ids
        self.ids.add(event["id"])
        return fresh


class KnowsJobsOnly(GoodReceiver):
    """Takes a second event of a job for a repeat."""

    def is_news(self, event: dict[str, Any]) -> bool:
        fresh = event["job_id"] not in self.ids
        self.ids.add(event["job_id"])
        return fresh


class VerifiesNothing(GoodReceiver):
    def verify(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        return dict(json.loads(body))


class WebPage(GoodReceiver):
    """A site that answers everything with a page."""

    async def receive(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(text="<h1>Welcome</h1>", content_type="text/html")


class _OwnVerifier(GoodReceiver):
    """Compares signatures itself, as one does without a library."""

    def verify(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        shown = headers.get("webhook-signature", "")
        made = sign(
            [self.secret],
            event_id=headers.get("webhook-id", ""),
            timestamp_s=int(headers.get("webhook-timestamp", "0")),
            body=self.signed(body),
        )
        if not self.matches(shown, made):
            raise WebhookVerificationError
        self.check_time(headers)
        return dict(json.loads(body))

    def signed(self, body: bytes) -> bytes:
        return body

    def matches(self, shown: str, made: str) -> bool:
        return made in shown.split(" ")

    def check_time(self, headers: Mapping[str, str]) -> None:
        Webhook(self.secret).verify(
            b"", {**headers, "webhook-signature": self._sign_empty(headers)}, json_parse=False
        )

    def _sign_empty(self, headers: Mapping[str, str]) -> str:
        return sign(
            [self.secret],
            event_id=headers["webhook-id"],
            timestamp_s=int(headers["webhook-timestamp"]),
            body=b"",
        )


class IgnoresTime(_OwnVerifier):
    def check_time(self, headers: Mapping[str, str]) -> None:
        """Take any."""


class FirstSignatureOnly(_OwnVerifier):
    def matches(self, shown: str, made: str) -> bool:
        return shown.split(" ", maxsplit=1)[0] == made


class WritesJsonAgain(_OwnVerifier):
    def signed(self, body: bytes) -> bytes:
        return json.dumps(json.loads(body), separators=(",", ":")).encode()


class FailsUnsigned(GoodReceiver):
    def verify(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        assert headers["webhook-id"]  # KeyError, and so a 500
        return super().verify(body, headers)


class RefusesRepeats(GoodReceiver):
    def answer(self, *, fresh: bool) -> web.Response:
        return super().answer(fresh=fresh) if fresh else web.Response(status=409)


class KnowsTwoOutcomes(GoodReceiver):
    def act(self, event: dict[str, Any]) -> None:
        {"succeeded": None, "failed": None, "unknown": None, "deleted": None}[event["outcome"]]


class NeedsData(GoodReceiver):
    """Reads the object's status without looking whether there is one."""

    def act(self, event: dict[str, Any]) -> None:
        assert event["data"]["status"]


class FailsTruncated(GoodReceiver):
    def act(self, event: dict[str, Any]) -> None:
        assert not event["bridge"].get("truncated")


class SmallLimit(GoodReceiver):
    body_limit = 100 * 1024


class Redirects(GoodReceiver):
    async def receive(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPMovedPermanently(str(request.url) + "/")


class Hangs(GoodReceiver):
    async def receive(self, request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError(request)

"""A service on an empty real store, with a clock that the test moves."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from bridge.container import bootstrap, open_services
from bridge.domain.starts.records import Fingerprint, Start
from bridge.domain.urls.policy import check_url
from bridge.services.context import Services
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.services.starts import recovery
from bridge.services.starts.guard import Intent, Known, Ticket, begin, plan_ticket
from bridge.store.tables.accounts import Account
from bridge.store.tables.projects import DEFAULT
from tests.api.serving import make_settings
from tests.services.polling.upstreams import PERSONA, UpstreamClient, running_upstream
from tests.store.conftest import Server
from tests.workers.conftest import redis, server

__all__ = ["redis", "server"]

URL = "https://hooks.example.com/a?k=1"


@dataclass
class Desk:
    """The services, an account, and a clock."""

    services: Services
    account: Account
    upstream: UpstreamClient
    ahead_ms: list[int] = field(default_factory=lambda: [0])

    def intent(
        self,
        key: str | None = "order-1",
        *,
        body: bytes = b"{}",
        url: str | None = URL,
        rule: str = "generate",
        source: str = "s1",
        **fields: Any,
    ) -> Intent:
        """Return a start of one generated post."""
        return Intent(
            account=self.account,
            rule=rule,
            fingerprint=Fingerprint("POST", b"/v1/generate", body),
            key=key,
            persona=PERSONA,
            source=source if rule == "generate" else "",
            **fields,
            webhook=None if url is None else self.webhook(url),
        )

    async def begin(self, intent: Intent) -> Ticket | Known:
        """Begin a start."""
        return await begin(self.services, intent, plan_ticket(self.services, intent))

    def webhook(self, url: str) -> RegisterCallback:
        """Return what a call that names this URL wants registered."""
        return RegisterCallback(
            kind="", job_id="", url=check_url(url, self.services.policy), metadata={"n": 1}
        )

    async def start(self, place: str) -> Start | None:
        """Return the record of a start."""
        loaded = await self.services.store.starts.load(place)
        return loaded.record if loaded else None

    async def open_places(self) -> list[str]:
        """Return the open starts that will be looked at within a day."""
        now_ms = self.services.clock_ms() + 86_400_000
        due = [
            await self.services.store.starts.load_due(shard, now_ms=now_ms, count=100)
            for shard in self.services.store.shards
        ]
        return [place for places in due for place in places]


@pytest.fixture
async def desk(redis: Redis, server: Server) -> AsyncIterator[Desk]:
    ahead_ms = [0]

    def clock_ms() -> int:
        return time.time_ns() // 1_000_000 + ahead_ms[0]

    async with (
        running_upstream() as upstream,
        open_services(
            make_settings(server.socket, REELMIRROR_BASE_URL=upstream.url, project_quota=8 << 20),
            clock_ms=clock_ms,
        ) as services,
    ):
        await bootstrap(services)
        accounts = await services.store.accounts.list(DEFAULT)
        account = next(each for each in accounts if each.provider == "reelmirror")
        yield Desk(services, account, upstream, ahead_ms)


async def let_a_worker_look(desk: Desk, *, after_s: float = 3) -> None:
    """Let time go by, and a worker look at what is due."""
    desk.ahead_ms[0] += round(after_s * 1000)
    await recovery.sweep(desk.services, desk.services.store.shard_of(desk.account.id))


async def read_start(desk: Desk, ticket: Ticket) -> Start:
    """Return the record of a start."""
    start = await desk.start(ticket.place)
    assert start is not None
    return start

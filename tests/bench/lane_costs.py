"""What the delivery queue costs its store: microseconds an item, by the server's own command statistics.

`python -m tests.bench.lane_costs` compares lanes by URL with fair shares of an origin to plain lanes with a cap.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.outcome import ANSWERED
from bridge.store import keys
from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.fair_lanes import FairLanes
from bridge.store.queue.lanes import Lanes, Settled
from tests.store.conftest import Server

ITEMS: Final = 20_000
LEASE_MS: Final = 45_000
PAGE: Final = 200
PLAIN_CAP: Final = 10


class Load(Struct, frozen=True, kw_only=True):
    """A spread of deliveries; `known` URLs have answered 2xx lately."""

    name: str
    origins: int
    urls: int
    projects: int = 1
    known: bool = True

    def lanes(self) -> list[str]:
        return [
            f"prj_{url % self.projects} https://h{origin}.example:443 {url:016x}"
            for origin in range(self.origins)
            for url in range(self.urls)
        ]


LOADS: Final = (
    Load(name="100 origins x 1 URL", origins=100, urls=1),
    Load(name="1 origin x 1,000 URLs", origins=1, urls=1000),
    Load(name="1 origin x 1,000 URLs, 20 projects", origins=1, urls=1000, projects=20),
    Load(name="1,000 origins x 10 URLs", origins=1000, urls=10),
    Load(name="100 origins x 200 URLs, never seen", origins=100, urls=200, known=False),
)


class Cost(Struct, frozen=True, kw_only=True):
    """Microseconds of the store an item, and what the client spent."""

    claim_us: float
    settle_us: float
    store_us: float  # processor time of the server, all commands
    visits: float
    cpu_us: float


async def measure(redis: Redis, lanes: Lanes, load: Load, *, items: int = ITEMS) -> Cost:
    """Claim and settle all items of a load as fast as the store can."""
    await redis.flushall()
    names = load.lanes()
    await _fill(redis, names, items)
    if load.known:
        await _mark(redis, names)
    await redis.config_resetstat()
    began, store_began = time.process_time(), await _server_s(redis)
    # For all URLs that may hang together; a plain lane has a cap of its own.
    room = PAGE if isinstance(lanes, FairLanes) else PLAIN_CAP
    spent: dict[str, float] = {"claim": 0.0, "settle": 0.0}
    visits = left = 0
    left = items
    while left:
        seconds, micros = await redis.time()
        now_ms = seconds * 1000 + micros // 1000
        due = [lane for _, lane, wake_ms in await lanes.peek() if wake_ms <= now_ms]
        if not due:
            await asyncio.sleep(0.001)
            continue
        before = await _script_us(redis)
        claim = await lanes.claim("a", [(lane, room) for lane in due], most=PAGE, page=20, lease_ms=LEASE_MS)
        middle = await _script_us(redis)
        visits += len(due)
        settled = [
            Settled(item.lane, item.member, claim.token, None, outcome=ANSWERED) for item in claim.items
        ]
        if settled:
            assert await lanes.settle("a", settled) == []
        after = await _script_us(redis)
        spent["claim"] += middle - before
        spent["settle"] += after - middle
        left -= len(settled)
    return Cost(
        claim_us=spent["claim"] / items,
        settle_us=spent["settle"] / items,
        store_us=(await _server_s(redis) - store_began) / items * 1e6,
        visits=visits / items,
        cpu_us=(time.process_time() - began) / items * 1e6,
    )


async def _fill(redis: Redis, names: Sequence[str], items: int) -> None:
    committer = Committer(redis, aof=False)
    for start in range(0, items, 500):
        ops = [
            Due("dlv", names[number % len(names)], f"dlv_a{number:024}", 0, "absent")
            for number in range(start, start + 500)
        ]
        assert await committer.commit(Change("a", (), ops)) == "done"


async def _mark(redis: Redis, names: Sequence[str]) -> None:
    now_ms = time.time_ns() // 1_000_000
    await redis.zadd(keys.good("a"), dict.fromkeys(names, now_ms))
    await redis.hset(keys.proven("a"), mapping={read_origin(lane): now_ms for lane in names})  # type: ignore[misc]  # redis-py types both clients at once


async def _script_us(redis: Redis) -> float:
    stats = await redis.info("commandstats")
    return float(sum(stats.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("eval", "evalsha")))


async def _server_s(redis: Redis) -> float:
    spent = await redis.info("cpu")
    return float(spent["used_cpu_user"]) + float(spent["used_cpu_sys"])


async def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            async with server.client() as redis:
                sys.stdout.write(f"{'':40}{'claim':>8}{'settle':>8}{'store':>8}{'visits':>8}{'client':>8}\n")
                for load in LOADS:
                    for kind, lanes in (("plain", Lanes(redis, "dlv", "a")), ("fair", FairLanes(redis, "a"))):
                        cost = await measure(redis, lanes, load)
                        sys.stdout.write(
                            f"{load.name:34}{kind:6}{cost.claim_us:8.1f}{cost.settle_us:8.1f}"
                            f"{cost.store_us:8.1f}{cost.visits:8.2f}{cost.cpu_us:8.1f}\n"
                        )
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main())

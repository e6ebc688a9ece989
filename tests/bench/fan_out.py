"""What an endpoint adds to an event: processor time of the worker and of the store.

`python -m tests.bench.fan_out` commits endings with and without endpoints, as `services/jobs/observe` builds them, and
compares the two by the processor time of this process and by the server's own command statistics.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.events.records import EventRecord
from bridge.domain.ids import event_id, job_key
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.store.commit import Committer
from bridge.store.unit_of_work import UnitOfWork
from tests.store.conftest import Server

EVENTS: Final = 300
ENDPOINTS: Final = 50
ROUNDS: Final = 3
BODY: Final = b'{"id":"evt"}' + b" " * 1200
LIMIT_US: Final = 60.0
PROJECT: Final = "prj_default"


class FanOutCost(Struct, frozen=True, kw_only=True):
    """Microseconds that one endpoint adds to one event."""

    worker_us: float
    store_us: float


async def measure(redis: Redis, *, events: int = EVENTS, endpoints: int = ENDPOINTS) -> FanOutCost:
    """Return the costs beyond those of the event alone."""
    bare = await _commit_all(redis, EndpointTable(1, ()), events)
    full = await _commit_all(redis, make_table(endpoints), events)
    worker_us, store_us = (
        (after - before) / events / endpoints for before, after in zip(bare, full, strict=True)
    )
    return FanOutCost(worker_us=worker_us, store_us=store_us)


def make_table(count: int) -> EndpointTable:
    """Return endpoints that all hear everything, each with a URL of its own."""
    return EndpointTable(1, [_make_endpoint(number) for number in range(count)])


def _make_endpoint(number: int) -> Endpoint:
    return Endpoint(
        id=f"ep_{number:016d}",
        project=PROJECT,
        created_ms=number,
        url=b"sealed",
        origin="https://hook.example:443",
        fingerprint=b"%016d" % number,
        lane=f"{PROJECT} https://hook.example:443 {number:016x}",
        secret=b"sealed",
    )


async def _commit_all(redis: Redis, table: EndpointTable, events: int) -> tuple[float, float]:
    """Commit events one after the other; return microseconds of this process and of the server."""
    await redis.flushall()
    await redis.set("{a}:p:prj_default:epv", 1)
    committer = Committer(redis, aof=False)
    await _commit(committer, table, -1)  # the server compiles the script
    await redis.config_resetstat()
    began = time.process_time()
    for number in range(events):
        await _commit(committer, table, number)
    worker_us = (time.process_time() - began) * 1e6
    stats: dict[str, Any] = await redis.info("commandstats")
    return worker_us, float(stats["cmdstat_evalsha"]["usec"])


async def _commit(committer: Committer, table: EndpointTable, number: int) -> None:
    key = job_key("a", "acc_1", "sync_job", str(number))
    identifier = event_id(project=PROJECT, key=key, born_ms=1, run=1, fact="completed")
    event = EventRecord(
        id=identifier, type="sync_job.completed", project=PROJECT, job=key, at_ms=1, body=BODY
    )
    unit = UnitOfWork("a", now_ms=1_795_257_250_123, retention_s=3600)
    unit.put_event(event)
    unit.deliver_to(table.matching(event.type, ending=True, persona=""), event)
    unit.require_endpoints(PROJECT, table)
    assert await committer.commit(unit.change()) == "done"


async def main() -> None:
    """Print the median of some rounds."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            async with server.client() as redis:
                found = [await measure(redis) for _ in range(ROUNDS)]
        finally:
            server.stop()
    print(describe(found))  # noqa: T201 -- a program's result


def describe(found: Sequence[FanOutCost]) -> str:
    """Return one line: the median costs, and what they may be."""
    worker, store = (sorted(getattr(each, name) for each in found) for name in ("worker_us", "store_us"))
    middle = len(found) // 2
    return (
        f"an endpoint adds {worker[middle]:.1f} us of the worker and {store[middle]:.1f} us of the store to an event "
        f"({ENDPOINTS} endpoints, {EVENTS} events; together at most {LIMIT_US:.0f} us)"
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

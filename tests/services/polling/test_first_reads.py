"""A job that was never read is read soon, whatever else of its account is due."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.services.polling.planner import MAX_LEASED
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


def lay_running(bench: Bench, job_id: str) -> str:
    """Let a job run under a limit that nothing here reaches; return its path."""
    path = f"/v1/sync-jobs/{job_id}"
    answer: dict[str, Any] = {"data": {"id": job_id, "status": "running"}}
    bench.upstream.lay(
        path,
        answer,
        X_RateLimit_Limit="1000000",
        X_RateLimit_Remaining="999999",
        X_RateLimit_Reset=str(int(time.time()) + 60),
    )
    return path


async def read_all(bench: Bench, names: list[str]) -> list[str]:
    """Register jobs and let each be read once; return their keys."""
    for name in names:
        lay_running(bench, name)
    keys = [await bench.register(name, kind="sync_job") for name in names]
    async with asyncio.timeout(20):
        while not all([(await bench.log(key)).polls for key in keys]):
            await bench.turn()
    return keys


async def test_a_new_job_is_read_beside_as_many_known_ones_as_an_account_may_have_in_flight(
    bench: Bench,
) -> None:
    """The known ones were due before, and are due again at once: the new one must not come last each time."""
    await read_all(bench, ["first"])
    known = await read_all(bench, [f"known{number}" for number in range(MAX_LEASED - 1)])
    for key in known:
        await bench.put_off(key, 0)
    path = lay_running(bench, "new")
    await bench.register("new", kind="sync_job")
    asked = await bench.turn()
    assert path in asked
    assert len(asked) == MAX_LEASED, "the known ones are read too, and none is claimed in vain"

"""A bridge on a Cluster of three primaries and three replicas, one of which is killed and comes back."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.e2e.failover.books import Books
from tests.e2e.failover.servers import Server, running_cluster, wait_until
from tests.e2e.processes import Receiver, Simulator, running_bridge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_a_node_is_killed_and_comes_back(
    simulator: Simulator, receiver: Receiver, tmp_path: Path, registrations: int
) -> None:
    """Its replica takes over; nothing that was answered with 201 is lost, and the worker needs no restart."""
    with running_cluster(tmp_path / "c", replicas=True) as cluster:
        queue = Server(tmp_path / "queue", {})
        settings = {
            "REELBRIDGE_REDIS_URL": cluster.url,
            "REELBRIDGE_REDIS_CLUSTER": "true",
            "REELBRIDGE_ARQ_REDIS_URL": f"redis://{queue.name}",
        }
        try:
            with running_bridge(simulator, tmp_path, **settings) as bridge:
                workers = bridge.pids("workers")
                books = Books(simulator, bridge, receiver)
                # The simulator's account lies on one of the nodes: the one whose disk is waited for.
                await books.register(5, fault_at=5, fault=_nothing)
                busiest = max(cluster.primaries, key=lambda each: each.calls("waitaof"))

                async def kill() -> None:
                    await asyncio.to_thread(busiest.kill)

                await books.register(registrations, fault_at=registrations // 4, fault=kill)
                assert await asyncio.to_thread(busiest.start)
                await asyncio.to_thread(
                    wait_until, lambda: busiest.info("replication")["role"] == "slave", what="it is a replica"
                )
                await books.register(10, fault_at=10, fault=_nothing)
                assert await books.settle() == set()
                books.assert_told_apart()
                assert len(books.accepted) > registrations // 4, books.statuses
                assert all(len(books.events_of(job)) == 1 for job in books.accepted)
                assert bridge.pids("workers") == workers
                sys.stdout.write(f"\nnode of a Cluster killed and back: {dict(books.statuses)}, lost 0\n")
        finally:
            queue.kill()


async def _nothing() -> None:
    """Let nothing happen."""

"""A bridge whose store fails over by Sentinel: nothing that was answered with 201 is lost, and its workers live on."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.failover.books import Books
from tests.e2e.failover.relay import Relay, running_relay
from tests.e2e.failover.servers import Server, Watched, running_sentinels
from tests.e2e.processes import Bridge, Receiver, Simulator, running_bridge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
only_full = pytest.mark.skipif("REELBRIDGE_FAILOVER" not in os.environ, reason="`make failover` runs it")

SPLIT_S = 8.0
# docs/scaling.md has these lines too.
BRIDGE_USER = "~* &* +@all -@dangerous +info +wait +waitaof"
USERS = {
    "user bridge": f"on >bridge-password {BRIDGE_USER}",
    "user replica": "on >replica-password +psync +replconf +ping",
    "user sentinel": "on >sentinel-password &* +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info"
    " +client|setname +client|kill +script|kill",
    "masteruser": "replica",
    "masterauth": "replica-password",
}
SENTINEL = {
    "sentinel auth-user": "main sentinel",
    "sentinel auth-pass": "main sentinel-password",
    "user watcher": "on >watcher-password -@all +auth +hello +client|setinfo +client|setname +ping"
    " +sentinel|master +sentinel|replicas +sentinel|slaves",
}


def report(line: str) -> None:
    """Write a line of the summary that `make failover` shows."""
    sys.stdout.write(f"\n{line}\n")


@contextmanager
def running(simulator: Simulator, folder: Path, watched: Watched) -> Iterator[Bridge]:
    """Run a bridge on the store that the Sentinels watch."""
    login = "sentinel_username=watcher&sentinel_password=watcher-password"
    url = f"redis://bridge:bridge-password@{watched.hosts}/0?{login}"
    with running_bridge(
        simulator, folder, REELBRIDGE_REDIS_URL=url, REELBRIDGE_REDIS_SENTINEL="main"
    ) as bridge:
        yield bridge


def assert_lived(bridge: Bridge, workers: list[int]) -> None:
    """The worker is the same process, and no password is in the log."""
    assert bridge.pids("workers") == workers
    assert "-password" not in "\n".join(bridge.process.lines)


async def test_a_primary_is_killed(
    simulator: Simulator, receiver: Receiver, tmp_path: Path, registrations: int
) -> None:
    """Registrations go on at the replica that was promoted; each is delivered, and the worker needs no restart."""
    with (
        running_sentinels(tmp_path / "s", USERS, SENTINEL) as watched,
        running(simulator, tmp_path, watched) as bridge,
    ):
        workers = bridge.pids("workers")
        books = Books(simulator, bridge, receiver)

        async def kill() -> None:
            await asyncio.to_thread(watched.primary.kill)

        await books.register(registrations, fault_at=registrations // 4, fault=kill)
        assert await books.settle() == set()
        books.assert_told_apart()
        assert len(books.accepted) > registrations // 2, books.statuses
        assert all(len(books.events_of(job)) == 1 for job in books.accepted)
        assert_lived(bridge, workers)
        report(f"primary killed: {dict(books.statuses)}, lost 0")


@contextmanager
def splittable(folder: Path, **options: str) -> Iterator[tuple[Watched, Relay]]:
    """Run servers of which the primary can be cut off from all but its clients."""
    with running_relay("bridge") as relay:

        def point(primary: Server) -> None:
            relay.target = primary.own_port

        with running_sentinels(
            folder, {**USERS, **options}, SENTINEL, primary_port=relay.port, on_start=point
        ) as watched:
            yield watched, relay


async def register_through_split(books: Books, watched: Watched, relay: Relay, registrations: int) -> None:
    """Cut the primary off for some seconds, in which another one is named, and bring it back as a replica."""

    async def cut() -> None:
        relay.cut()
        asyncio.get_running_loop().call_later(SPLIT_S, relay.heal)

    await books.register(registrations, fault_at=registrations // 4, fault=cut)
    assert watched.find_primary() != relay.port


async def test_a_primary_is_cut_off_while_clients_still_reach_it(
    simulator: Simulator, receiver: Receiver, tmp_path: Path, registrations: int
) -> None:
    """What it takes alone is thrown away when it comes back; so that it takes nothing that is answered with 201."""
    with splittable(tmp_path / "s") as (watched, relay), running(simulator, tmp_path, watched) as bridge:
        workers = bridge.pids("workers")
        books = Books(simulator, bridge, receiver)
        await register_through_split(books, watched, relay, registrations)
        assert await books.settle() == set()
        books.assert_told_apart()
        assert len(books.accepted) > registrations // 4, books.statuses
        assert all(len(books.events_of(job)) == 1 for job in books.accepted)
        assert_lived(bridge, workers)
        assert "store.primary_changed" in "\n".join(bridge.process.lines)
        report(f"primary cut off: {dict(books.statuses)}, lost 0")


@only_full
async def test_a_primary_that_is_cut_off_refuses_writes_if_told_to(
    simulator: Simulator, receiver: Receiver, tmp_path: Path, registrations: int
) -> None:
    """With min-replicas-to-write nothing is lost either; who waits long enough is answered by the next primary."""
    with (
        splittable(tmp_path / "s", min_replicas_to_write="1", min_replicas_max_lag="2") as (watched, relay),
        running(simulator, tmp_path, watched) as bridge,
    ):
        books = Books(simulator, bridge, receiver)
        await register_through_split(books, watched, relay, registrations)
        assert await books.settle() == set()
        books.assert_told_apart()
        report(f"primary cut off, min-replicas-to-write: {dict(books.statuses)}, lost 0")

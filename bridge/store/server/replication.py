"""Follow which servers are primaries, and whether each has a replica that keeps what was accepted through a failover.

A replica that was promoted has lost what it had not received yet, so that registrations wait for a replica's disk where
there is one. Which ones there are is asked of the Sentinels or the Cluster: a primary that is cut off sees none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import cast

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.cluster import get_node_name

from bridge.store.errors import STORE_ERRORS
from bridge.store.server.fitness import UnfitStoreError, check_node
from bridge.store.server.sentinel import Address, SentinelPool

LOOK_S = 5.0
SOON_S = 0.5  # the least time between two looks, when a new primary has shown up
RISK = "a failover may lose what was accepted in the last seconds"
FIX = "give each primary a replica with `appendonly yes`; min-replicas-to-write 1 refuses work without one"
log = structlog.get_logger()


class Replication:
    """Knows the primaries, by a Cluster's node name or as "", and which of them have no fit replica."""

    def __init__(self, redis: Redis, open_node: Callable[[str, int], Redis]) -> None:
        """Take the store's client, and a function that opens a client for one server."""
        self._redis = redis
        self._open_node = open_node
        self._fit: dict[Address, bool] = {}
        self._reasons: dict[Address, str] = {}
        self._primaries: frozenset[str] = frozenset()
        self._alone: frozenset[str] = frozenset()
        self._told = False
        self.surprised = asyncio.Event()  # a primary was used that no look has found yet

    @property
    def fails_over(self) -> bool:
        """Whether another server may become the primary: with Sentinel and Cluster."""
        return isinstance(self._redis, RedisCluster) or isinstance(self._redis.connection_pool, SentinelPool)

    @property
    def alone(self) -> frozenset[str]:
        """The primaries without a fit replica, as the last look found them."""
        return self._alone

    def count(self, node: str) -> int:
        """Return how many replicas must have on disk what this primary accepts: 1, or 0 where it has no fit one."""
        if not self.fails_over:
            return 0
        if node not in self._primaries:
            self.surprised.set()
        return int(node not in self._alone)

    def explain(self) -> str:
        """Return which primaries have no fit replica, and why those that they have are not fit."""
        named = ", ".join(sorted(name or "the primary" for name in self._alone))
        reasons = "; ".join(f"{get_node_name(*at)}: {why}" for at, why in sorted(self._reasons.items()))
        return named + (f" ({reasons})" if reasons else "")

    async def look(self) -> None:
        """Find the primaries and their replicas; raise one of `STORE_ERRORS`, and keep what was known then."""
        if not self.fails_over:
            return
        found = await self._list_replicas()
        await self._look_at({replica for replicas in found.values() for replica in replicas})
        self._primaries = frozenset(found)
        alone = frozenset(
            name
            for name, replicas in found.items()
            if not any(self._fit.get(replica, False) for replica in replicas)
        )
        if alone != self._alone or not self._told:
            self._tell(alone)

    def _tell(self, alone: frozenset[str]) -> None:
        had_some, self._alone, self._told = bool(self._alone), alone, True
        if alone:
            log.warning("store.no_replica", primaries=self.explain(), risk=RISK, fix=FIX)
        elif had_some:
            log.info("store.replicas_found")

    async def _list_replicas(self) -> Mapping[str, Iterable[Address]]:
        """Return the replicas of each primary."""
        if not isinstance(self._redis, RedisCluster):
            return {"": await cast("SentinelPool", self._redis.connection_pool).sentinels.list_replicas()}
        slots = await self._redis.execute_command("CLUSTER SLOTS")
        asked = (
            self._redis.get_default_node().host
        )  # a node that has met no other does not know its own address
        return {
            get_node_name(each["primary"][0] or asked, each["primary"][1]): [
                (host or asked, int(port)) for host, port in each["replicas"]
            ]
            for each in slots.values()
        }

    async def _look_at(self, replicas: Iterable[Address]) -> None:
        """Ask each replica whether it is fit; of one that does not answer what was known of it holds."""
        self._reasons = {}
        for address in replicas:
            try:
                async with self._open_node(*address) as node:
                    check_node(await node.info("everything"))
            except UnfitStoreError as error:
                self._fit[address], self._reasons[address] = False, str(error)
            except STORE_ERRORS as error:
                self._reasons[address] = f"does not answer ({type(error).__name__})"
            else:
                self._fit[address] = True


@asynccontextmanager
async def following(redis: Redis, replication: Replication) -> AsyncIterator[None]:
    """Look at the servers now and at intervals while the block runs, and leave those that are no primaries any more."""
    if not replication.fails_over:
        yield
        return
    with suppress(*STORE_ERRORS):  # then each change waits for a replica, until a look succeeds
        await replication.look()
    task = asyncio.create_task(_follow(redis, replication))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _follow(redis: Redis, replication: Replication) -> None:
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(replication.surprised.wait(), LOOK_S)
        replication.surprised.clear()
        try:
            if not isinstance(redis, RedisCluster):
                await leave_former(redis)
            await replication.look()
        except STORE_ERRORS as error:
            log.info("store.not_looked_at", error=type(error).__name__)
        except Exception:
            log.exception("store.look_failed")
        await asyncio.sleep(SOON_S)


async def leave_former(redis: Redis) -> None:
    """Close the connections to a server that the Sentinels do not call the primary any more."""
    pool = redis.connection_pool
    if isinstance(pool, SentinelPool) and (dropped := await pool.drop_former()):
        log.warning("store.primary_changed", dropped_connections=dropped)

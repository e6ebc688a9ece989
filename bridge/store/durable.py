"""Run scripts and return once what they wrote is on disk: the server's, and a replica's where a failover may happen."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import OutOfMemoryError, ResponseError

from bridge.store import keys
from bridge.store.cluster_commands import Command, Keyed, NodeWait, is_confirmed, send_durably
from bridge.store.disk_wait import DiskWait
from bridge.store.errors import STORE_ERRORS, StoreFull, StoreNotDurable
from bridge.store.scripts import SCRIPTS, ScriptCall, run_by_hash, run_each, send_together

log = structlog.get_logger()

# Long enough for slow disks (1.5 s for an fsync was seen), short enough for clients that wait.
WAITAOF_MS = 8000
ASK_REPLICA_MS = 10
ASKS = 20
CONFIRMED_SOON_MS = 25  # a disk that does not keep others waiting confirms within 20 ms
# The script for work in progress, and for new work.
TOUCH = (SCRIPTS["touch_v1"], SCRIPTS["touch_v1"].refusing_when_full())
# How many replicas must have a write on disk too, by the name of a Cluster's node ("" without Cluster): 0 or 1.
CountReplicas = Callable[[str], int]


def no_replicas(node: str) -> int:  # noqa: ARG001 -- the signature of CountReplicas
    """Return 0: a server that nothing fails over from needs no replica."""
    return 0


class DurableScripts:
    """Runs scripts on one store until their writes are on disk."""

    def __init__(self, redis: Redis, *, aof: bool = True, replicas: CountReplicas = no_replicas) -> None:
        """Take whether the store has an append-only file; without one nothing is waited for.

        `replicas` says how many replicas must confirm.
        """
        self._redis = redis
        self._aof = aof
        self._replicas = replicas
        self._waits: dict[str, DiskWait] = {}

    async def run(self, call: ScriptCall, *, touched: str, new_work: bool) -> Any:
        """Run one script as `run_each` does; return its answer, or raise its error."""
        (answer,) = await self.run_each([call], touched=touched, new_work=new_work)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def confirm(self, touched: str) -> None:
        """Return once what was written to the slot of this key is on disk; raise `StoreNotDurable`."""
        touch = ScriptCall(TOUCH[False], (touched,), ())
        await self.run(touch, touched=touched, new_work=False)

    async def run_each(self, calls: Sequence[ScriptCall], *, touched: str, new_work: bool) -> list[Any]:
        """Run scripts of one slot in one round trip; return the answer of each, or its error, in order.

        What is not confirmed to be on disk has `StoreNotDurable` as its answer. `touched` is a key of the slot, written
        after the scripts: one that is repeated writes nothing, but WAITAOF waits for a write of its own connection.
        """
        if not self._aof:
            return await run_each(self._redis, calls)
        touch = ScriptCall(TOUCH[new_work], (touched,), ()).whole()
        waits: list[bool | Exception] = []

        async def send(places: Sequence[int], commands: Sequence[Command]) -> list[Any]:
            keyed = [Keyed(calls[at].keys[0], command) for at, command in zip(places, commands, strict=True)]
            answers, waited = await self._send(keyed, touched, touch)
            waits.extend(waited)
            return answers

        async with self._wait_on(touched):
            answers = await run_by_hash(calls, send)
        doubt = next((_explain(wait) for wait in waits if wait is not True), None)
        return (
            answers if doubt is None else [each if isinstance(each, Exception) else doubt for each in answers]
        )

    async def _send(
        self, keyed: Sequence[Keyed], touched: str, touch: Command
    ) -> tuple[list[Any], list[bool | Exception]]:
        """Send commands, and wait on the same connections; return their answers, and what the waits have confirmed."""
        if isinstance(self._redis, RedisCluster):
            disk = NodeWait(touched, touch, lambda node: _plan_wait(self._replicas(node)))
            return await send_durably(self._redis, keyed, disk)
        waits = _plan_wait(self._replicas(""))
        commands = [each.command for each in keyed]
        found = await send_together(self._redis, [*commands, touch, *waits])
        answers, (written, *_, waited) = found[: len(keyed)], found[len(keyed) :]
        return answers, [written if isinstance(written, Exception) else is_confirmed(waits[-1], waited)]

    def _wait_on(self, touched: str) -> AbstractAsyncContextManager[None]:
        wait = self._waits.get(touched)
        if wait is None:
            wait = self._waits[touched] = DiskWait(self._redis, touched)
        return wait.waiting()


class DiskConfirmations:
    """Until when what was written to each shard is known to be on disk; the disk is asked once for all who wait for it."""

    def __init__(self, durable: DurableScripts, *, aof: bool, clock_ms: Callable[[], int]) -> None:
        """Take what waits for the disk; without an append-only file (`aof`) nothing is waited for."""
        self._durable = durable
        self._aof = aof
        self._clock_ms = clock_ms
        self._until_ms: dict[str, int] = {}
        self._asking: dict[str, tuple[int, asyncio.Task[None]]] = {}  # since when, in ms

    def wait_ms(self, shard: str, at_ms: int) -> int:
        """Return 0 if all that a shard held at a time is known to be on disk; else after how many ms to ask again.

        The disk is asked meanwhile, in the background. The longer it takes, the longer are the waits.
        """
        if not self._aof or self._until_ms.get(shard, 0) >= at_ms:
            return 0
        now_ms = self._clock_ms()
        if shard not in self._asking:
            self._asking[shard] = now_ms, asyncio.create_task(self._ask(shard, now_ms))
        return max(now_ms - self._asking[shard][0], CONFIRMED_SOON_MS)

    async def _ask(self, shard: str, began_ms: int) -> None:
        try:
            await self._durable.confirm(keys.touched(shard))
        except (*STORE_ERRORS, StoreNotDurable) as error:
            log.warning("store.not_confirmed", shard=shard, error=type(error).__name__)
        else:
            self._until_ms[shard] = began_ms
        finally:
            del self._asking[shard]

    async def finish(self) -> None:
        """Wait until the disk has answered, before the store is closed."""
        await asyncio.gather(*(task for _, task in self._asking.values()))


def _plan_wait(replicas: int) -> Sequence[Command]:
    """Return the commands that wait for the disk; the last one's answer counts.

    A replica tells once a second how far its file is, and when it is asked, which each WAITAOF that has to wait makes
    the primary do, once: several short ones take 20 ms together where a long one takes a second.
    """
    asking = [("WAITAOF", 1, replicas, ASK_REPLICA_MS)] * (ASKS if replicas else 0)
    return [*asking, ("WAITAOF", 1, replicas, WAITAOF_MS)]


def _explain(wait: bool | Exception) -> Exception:  # noqa: FBT001 -- the answer to a wait, which is one or the other
    """Return what is to be said of changes whose wait was not confirmed; the changes have been made."""
    if isinstance(wait, OutOfMemoryError):
        return StoreFull()
    # A server that has become a replica ends the waits there with an error.
    if isinstance(wait, bool | ResponseError):
        return StoreNotDurable()
    return wait

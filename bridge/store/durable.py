"""Run scripts and return once what they wrote is on disk: the server's, and a replica's where a failover may happen."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import OutOfMemoryError, ResponseError

from bridge.store import keys
from bridge.store.cancellation import is_cancelled
from bridge.store.cluster_commands import Command, Keyed, NodeWait, is_confirmed, send_durably
from bridge.store.disk_wait import DiskWait
from bridge.store.errors import StoreFull, StoreNotDurable
from bridge.store.scripts import SCRIPTS, ScriptCall, run_by_hash, run_each, send_together

log = structlog.get_logger()

# Long enough for slow disks (1.5 s for an fsync was seen), short enough for clients that wait.
WAITAOF_MS = 8000
ASK_REPLICA_MS = 10
ASKS = 20
CHECKED_WITHIN_S = 0.2  # a disk that nothing keeps busy takes 20 ms at most
CHECK_AGAIN_S = 1.0  # after an error
MOST_NEEDED = 20_000
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


class _ShardChecks:
    """The checks of one shard, by number, of which one runs at a time."""

    def __init__(self) -> None:
        self.begun = 0
        self.wanted = 0
        self.confirmed = 0
        self.slow_from_s = math.inf  # by the monotonic clock: from then on the one that runs takes long
        self.task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()  # the one that runs

    @property
    def are_slow(self) -> bool:
        return time.monotonic() > self.slow_from_s

    async def wait_for_end(self, within_s: float) -> None:
        """Wait until the check that runs has ended, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._ended.wait()

    def note_end(self) -> None:
        """Let those who wait look again."""
        self._ended.set()
        self._ended = asyncio.Event()


class DurabilityChecks:
    """Checks whether what a shard held is on disk: one check at a time, for all who wait for the next one."""

    def __init__(self, durable: DurableScripts, *, aof: bool) -> None:
        """Take what waits for the disk; without an append-only file (`aof`) nothing is waited for."""
        self._durable = durable
        self._aof = aof
        self._shards: defaultdict[str, _ShardChecks] = defaultdict(_ShardChecks)
        self._needed: dict[str, int] = {}  # by id: the number of the check that counts, as any later one does

    async def is_durable(self, identifier: str) -> bool:
        """Return whether all that an id's shard held when this was first called for it is on disk; wait a moment for that.

        A check that ends later counts for the next call.
        """
        checks, needed = self._want(identifier)
        ends_s = time.monotonic() + CHECKED_WITHIN_S
        while checks.confirmed < needed:
            left_s = ends_s - time.monotonic()
            if checks.are_slow or left_s <= 0:
                return False
            await checks.wait_for_end(left_s)
        self._needed.pop(identifier, None)
        return True

    def is_slow(self, identifier: str) -> bool:
        """Return whether `is_durable` would return False without waiting."""
        checks, needed = self._want(identifier)
        return checks.confirmed < needed and checks.are_slow

    def _want(self, identifier: str) -> tuple[_ShardChecks, int]:
        """Have an id's shard checked; return its checks, and the number of the one that counts."""
        shard = keys.shard(identifier)
        checks = self._shards[shard]
        if not self._aof:
            return checks, 0
        needed = self._needed.setdefault(identifier, checks.begun + 1)
        if len(self._needed) > MOST_NEEDED:  # other workers have sent them
            del self._needed[next(iter(self._needed))]
        if checks.confirmed < needed:
            checks.wanted = max(checks.wanted, needed)
            if checks.task is None:
                checks.task = asyncio.create_task(self._run(shard, checks))
        return checks, needed

    async def _run(self, shard: str, checks: _ShardChecks) -> None:
        try:
            while checks.confirmed < checks.wanted and not is_cancelled():
                checks.begun += 1
                checks.slow_from_s = time.monotonic() + CHECKED_WITHIN_S
                if not await self._confirm(shard):
                    checks.slow_from_s = 0.0
                    checks.note_end()
                    await asyncio.sleep(CHECK_AGAIN_S)
                    return  # whoever still waits has it checked again
                checks.confirmed = checks.begun
                checks.note_end()
        finally:
            checks.task, checks.slow_from_s = None, math.inf

    async def _confirm(self, shard: str) -> bool:
        try:
            await self._durable.confirm(keys.touched(shard))
        except Exception as error:  # noqa: BLE001 -- whatever it is, nothing is known to be on disk, and the next check tries again
            log.warning("store.not_confirmed", shard=shard, error=type(error).__name__)
            return False
        return True

    async def finish(self) -> None:
        """End the checks that run; nobody needs the result for a store that is closed."""
        running = [each.task for each in self._shards.values() if each.task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


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

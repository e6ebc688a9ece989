"""The endpoints of each project, with an epoch that a commit of new events depends on.

The table of a project is the truth. A change writes a row and raises the table's epoch in one step, then raises the copy of
the epoch in every shard; only then is it answered. A process keeps the tables it has read. It needs no time limit for
them: a commit of events is guarded by the epoch that it was decided with, and refused in a shard that knows another one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from bridge.domain.subscriptions.endpoint import MOST_ENDPOINTS, Endpoint
from bridge.domain.subscriptions.endpoint_table import NO_ENDPOINTS, EndpointTable
from bridge.store import endpoint_keys, keys
from bridge.store.commit import Guard
from bridge.store.durable import DurableScripts
from bridge.store.endpoint_keys import EPOCH
from bridge.store.records import Loaded, UnreadableRecord, log_unreadable, pack, unpack
from bridge.store.scripts import SCRIPTS, ScriptCall, run
from bridge.store.tables.table import SWAP_WHEN_FULL

MOST_TABLES: Final = 10_000  # that a process keeps; a project without endpoints is one of them
CHANGE = SCRIPTS["endpoint_v1"]
CHANGE_WHEN_FULL = CHANGE.accepted_when_full()
RAISE = SCRIPTS["raise_epoch_v1"]
_CHANGED, _TOO_MANY = -1, -2


class TooManyEndpoints(Exception):
    """A project has as many endpoints as it may have."""


class Endpoints:
    """The endpoints of all projects, and what this process has read of them."""

    def __init__(self, redis: Redis, shards: str, *, durable: DurableScripts) -> None:
        """Take the letters of the shards in use, and what waits for the disk."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        self._shards = shards
        self._durable = durable
        self._tables: dict[str, EndpointTable] = {}

    def known(self, project: str) -> EndpointTable | None:
        """Return a project's table as this process read it last; None: it has not."""
        return self._tables.get(project)

    async def table(self, project: str) -> EndpointTable:
        """Return a project's table as this process knows it, read now if it does not."""
        return self._tables.get(project) or await self.read(project)

    async def read(self, project: str) -> EndpointTable:
        """Read a project's table; an endpoint that cannot be read is logged and left out."""
        rows = await self._redis.hgetall(endpoint_keys.endpoints(project))
        epoch = int(rows.pop(EPOCH.encode(), 0))
        found = [self._unpack(project, field.decode(), raw) for field, raw in rows.items()]
        table = EndpointTable(epoch, [each for each in found if each]) if epoch else NO_ENDPOINTS
        known = self._tables.pop(project, None)
        if known is not None and known.epoch > epoch:
            table = known  # an answer that was overtaken by a later one
        elif len(self._tables) >= MOST_TABLES:
            del self._tables[next(iter(self._tables))]  # the one that was read first
        self._tables[project] = table
        return table

    async def level(self, project: str, shard: str) -> EndpointTable:
        """Read a project's table after a commit was refused, and bring its epoch and the shard's copy level.

        The copy is lower after a change that its process did not finish, higher after the table lost writes in a
        failover; the table then begins an epoch that no process has seen.
        """
        self._tables.pop(project, None)
        table = await self.read(project)
        copy = int(await self._redis.get(endpoint_keys.epoch(shard, project)) or 0)
        if copy > table.epoch:
            args = (copy + 1, EPOCH)
            await run(self._redis, ScriptCall(RAISE, (endpoint_keys.endpoints(project),), args))
            table = await self.read(project)
        if copy < table.epoch:
            await self._raise(project, shard, table.epoch)
        return table

    async def latest(self, project: str) -> EndpointTable:
        """Return a project's table as it is now."""
        epoch = await self._redis.hget(endpoint_keys.endpoints(project), EPOCH)
        return (await self.current({project: int(epoch or 0)}))[project]

    async def current(self, epochs: Mapping[str, int]) -> dict[str, EndpointTable]:
        """Return tables of projects as they are now; `epochs` were just read, see `records.Wanted`."""
        found = {}
        for project, epoch in epochs.items():
            known = await self.table(project)
            found[project] = known if known.epoch == epoch else await self._read_anew(project)
        return found

    async def _read_anew(self, project: str) -> EndpointTable:
        self._tables.pop(project, None)
        return await self.read(project)

    async def load(self, project: str, identifier: str) -> Loaded[Endpoint] | None:
        """Return an endpoint as it is now, with its bytes, for changing it; raise `UnreadableRecord`."""
        raw = await self._redis.hget(endpoint_keys.endpoints(project), identifier)
        return None if raw is None or identifier == EPOCH else Loaded(unpack(Endpoint, raw), raw)

    async def write(self, fresh: Endpoint, former: bytes | None) -> bool:
        """Write an endpoint whose bytes are still `former` (None: absent); return whether it was written.

        It is on disk, and every commit from now on heeds it, when this returns. Raise `TooManyEndpoints`, `StoreFull`,
        or `StoreNotDurable`.
        """
        return await self._change(fresh.project, fresh.id, former, pack(fresh))

    async def remove(self, project: str, identifier: str, former: bytes) -> bool:
        """Remove an endpoint whose bytes are still `former`; return whether it was removed."""
        return await self._change(project, identifier, former, b"")

    async def load_all(self, project: str) -> list[Loaded[Endpoint]]:
        """Return a project's endpoints with their bytes; one that cannot be read is logged and left out."""
        rows = await self._redis.hgetall(endpoint_keys.endpoints(project))
        rows.pop(EPOCH.encode(), None)
        found = [(self._unpack(project, field.decode(), raw), raw) for field, raw in rows.items()]
        return [Loaded(each, raw) for each, raw in found if each is not None]

    async def replace_sealed(self, resealed: Endpoint, former: bytes) -> bool:
        """Write an endpoint whose secrets alone are sealed anew, if its bytes are still `former`; return whether it was.

        It says the same as before, so that no epoch begins, and the store takes it at its memory limit too.
        """
        args = (resealed.id, former, pack(resealed))
        call = ScriptCall(SWAP_WHEN_FULL, (endpoint_keys.endpoints(resealed.project),), args)
        return bool(await run(self._redis, call) == b"done")

    async def spread(self, project: str) -> None:
        """Bring the epoch of a project's table into every shard, and wait until it is on disk there."""
        table = await self._read_anew(project)
        await asyncio.gather(*(self._raise(project, shard, table.epoch) for shard in self._shards))

    async def level_all(self, projects: Sequence[str]) -> int:
        """Finish the changes that a killed process left between table and shards; return for how many projects."""
        pipe = self._redis.pipeline(transaction=False)
        for project in projects:
            pipe.hget(endpoint_keys.endpoints(project), EPOCH)
            for shard in self._shards:
                pipe.get(endpoint_keys.epoch(shard, project))
        answers = [int(each or 0) for each in await pipe.execute()] if projects else []
        count, step = 0, 1 + len(self._shards)
        for place, project in enumerate(projects):
            epoch, *copies = answers[place * step : (place + 1) * step]
            uneven = [shard for shard, copy in zip(self._shards, copies, strict=True) if copy != epoch]
            for shard in uneven:
                await self.level(project, shard)
            count += bool(uneven)
        return count

    async def _change(self, project: str, identifier: str, former: bytes | None, value: bytes) -> bool:
        script = CHANGE if len(value) > len(former or b"") else CHANGE_WHEN_FULL  # what takes no more memory
        args = (identifier, former or b"", value, MOST_ENDPOINTS)
        call = ScriptCall(script, (endpoint_keys.endpoints(project),), args)
        touched = endpoint_keys.touched(project)
        epoch = int(await self._durable.run(call, touched=touched, new_work=script is CHANGE))
        if epoch == _CHANGED:
            return False
        if epoch == _TOO_MANY:
            raise TooManyEndpoints
        await self.spread(project)
        return True

    async def _raise(self, project: str, shard: str, epoch: int) -> None:
        call = ScriptCall(RAISE, (endpoint_keys.epoch(shard, project),), (epoch, ""))
        await self._durable.run(call, touched=keys.touched(shard), new_work=False)

    def _unpack(self, project: str, identifier: str, raw: bytes) -> Endpoint | None:
        try:
            return unpack(Endpoint, raw)
        except UnreadableRecord as error:
            log_unreadable(endpoint_keys.endpoints(project), identifier, error)
            return None


def guard_epoch(shard: str, project: str, table: EndpointTable) -> Guard:
    """Return the condition that a shard knows the table by which the receivers of an event were chosen."""
    value = str(table.epoch).encode() if table.epoch else None
    return Guard(endpoint_keys.epoch(shard, project), value)

"""Connect to the primary that Sentinels name, and follow it when it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakSet

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError, ReadOnlyError  # noqa: A004 -- redis's own error is meant

from bridge.store.errors import STORE_ERRORS
from bridge.store.server.redis_connection import FewTurnsPool, PatientPool

T = TypeVar("T")
Address = tuple[str, int]


class Sentinels:
    """The Sentinels that watch one primary and its replicas, all of which are asked at once."""

    def __init__(self, clients: Sequence[Redis], primary: str) -> None:
        """Take a client for each Sentinel, and the name that they give the primary."""
        self._clients = clients
        self._primary = primary
        self._finding: asyncio.Task[Address] | None = None

    async def find_primary(self) -> Address:
        """Return the primary's host and port; whoever asks at the same time shares the answer.

        Raise `MasterNotFoundError`, a `ConnectionError`, while there is none.
        """
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._find())
        return await asyncio.shield(self._finding)

    async def _find(self) -> Address:
        states, failures = await self._ask(lambda each: each.sentinel_master(self._primary))  # type: ignore[no-untyped-call]  # redis-py
        usable = [
            state for state in states if not (state["is_sdown"] or state["is_odown"]) and state["is_master"]
        ]
        if not usable:
            raise MasterNotFoundError(
                f"no primary {self._primary!r}: {len(states)} of {len(self._clients)} Sentinels answer"
                f" {', '.join(failures)}"
            )
        # The epoch rises with each failover, and a Sentinel that was cut off may not know of the last one.
        newest = max(usable, key=lambda state: int(state.get("config-epoch", 0)))
        return str(newest["ip"]), int(newest["port"])

    async def list_replicas(self) -> set[Address]:
        """Return the addresses of the replicas that any of a majority of Sentinels finds alive.

        Raise `ConnectionError` when fewer answer: those that are left may be cut off with a former primary, and would
        find no replica alive.
        """
        answers, failures = await self._ask(lambda each: each.sentinel_slaves(self._primary))  # type: ignore[no-untyped-call]  # redis-py
        if len(answers) <= len(self._clients) // 2:
            raise ConnectionError(f"fewer than half of the Sentinels answer {', '.join(failures)}")
        return {
            (str(state["ip"]), int(state["port"]))
            for states in answers
            for state in states
            if not (state["is_sdown"] or state["is_odown"])
        }

    async def _ask(self, ask: Callable[[Redis], Awaitable[T]]) -> tuple[list[T], list[str]]:
        """Ask all Sentinels, until more than half have answered; return their answers, and the errors of others."""
        pending = {asyncio.ensure_future(ask(client)) for client in self._clients}
        answers: list[T] = []
        failures: list[str] = []
        try:
            while pending and len(answers) <= len(self._clients) // 2:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    error = each.exception()
                    if error is None:
                        answers.append(each.result())
                    elif isinstance(error, STORE_ERRORS):
                        failures.append(type(error).__name__)
                    else:
                        raise error
        finally:
            for each in pending:
                each.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return answers, failures

    async def aclose(self) -> None:
        """Close the connections to the Sentinels."""
        for client in self._clients:
            await client.aclose()


class SentinelPool(FewTurnsPool):
    """A bounded pool of connections to the primary; its connection class is to have the mixin `PrimaryConnection`."""

    def __init__(self, sentinels: Sentinels, **options: Any) -> None:
        """Take redis-py's options too."""
        super().__init__(find_primary=sentinels.find_primary, **options)
        self.sentinels = sentinels
        self._made: WeakSet[Any] = WeakSet()

    def make_connection(self) -> Any:
        """Return a new connection, which `drop_former` knows."""
        connection = super().make_connection()  # type: ignore[no-untyped-call]  # redis-py
        self._made.add(connection)
        return connection

    async def drop_former(self) -> int:
        """Ask the Sentinels, and close all connections to other servers than the primary; return how many.

        Commands that wait for an answer there are repeated at the primary.
        """
        primary = await self.sentinels.find_primary()
        former = [each for each in self._made if each.is_connected and (each.host, int(each.port)) != primary]
        for connection in former:
            await connection.disconnect(nowait=True)
        return len(former)

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 -- redis-py's signature
        """Close the pool's connections, and with those in use also the connections to the Sentinels."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await self.sentinels.aclose()


class PatientSentinelPool(PatientPool, SentinelPool):
    """The same with the patience of `PatientPool`."""


class PrimaryConnection(AbstractConnection):
    """A mixin for redis-py's connection classes: it connects to the server that is the primary at that moment."""

    host: str
    port: int

    def __init__(self, *, find_primary: Callable[[], Awaitable[Address]], **options: Any) -> None:
        """Take redis-py's options too."""
        super().__init__(**options)
        self._find_primary = find_primary

    async def _connect(self) -> None:
        self.host, self.port = await self._find_primary()
        await super()._connect()  # type: ignore[safe-super,no-untyped-call]  # that of the class it is mixed into

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Return an answer; that of a former primary, which is a replica now, is an error of the connection."""
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError:
            await self.disconnect(nowait=True)
            raise ConnectionError("the former primary is a replica now") from None

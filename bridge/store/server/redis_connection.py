"""redis-py's connection and pool with less work for each command.

They take fewer iterations of the event loop, of which a busy worker's last tens of ms, and less processor time.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool, ConnectionPool
from redis.asyncio.retry import Retry
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError, ResponseError  # noqa: A004 -- redis's own error is meant
from redis.typing import EncodableT

DRAIN_S = 2.0
DRAIN_LOOK_S = 0.005


class PatientPool(ConnectionPool):
    """A pool that opens connections as patiently as commands are repeated over those that are open.

    redis-py repeats only the TCP connection itself; whatever accepts that and then closes it, as a balancer does whose
    servers are away, is an error at once.
    """

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection that is ready, by the policy of retries that its connections have."""

        async def try_again(_: Exception) -> None:
            """Do nothing: the pool has taken the connection back."""

        retry: Retry = self.connection_kwargs["retry"]
        return await retry.call_with_retry(super().get_connection, try_again)


class FewTurnsPool(BlockingConnectionPool):
    """redis-py's pool, which takes its lock only while somebody waits for a connection."""

    def __init__(self, **options: Any) -> None:
        """Take redis-py's options."""
        super().__init__(**options)
        self._waiting = 0

    async def get_connection(self) -> Any:
        """Return a connection that is ready; wait for one while all are in use."""
        if self._waiting or not self.can_get_connection():
            self._waiting += 1
            try:
                return await super().get_connection()
            finally:
                self._waiting -= 1
        connection = self.get_available_connection()  # type: ignore[no-untyped-call]  # redis-py
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def drain(self) -> None:
        """Wait until no command is under way, for `DRAIN_S` at most, before the pool is closed.

        redis-py repeats a command whose connection was closed, and nobody would close the connection that it opens for that.
        """
        until = time.monotonic() + DRAIN_S
        while self._in_use_connections and time.monotonic() < until:  # noqa: ASYNC110 -- redis-py has no event for it
            await asyncio.sleep(DRAIN_LOOK_S)

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back, for who waits first."""
        if self._waiting:
            await super().release(connection)
        else:
            await ConnectionPool.release(self, connection)


class FewTurnsConnection(AbstractConnection):
    """A mixin for redis-py's connection classes; it changes neither what is sent nor how errors are handled."""

    _packer = HiredisRespSerializer()

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Encode commands with hiredis, as the blocking client does, because some have thousands of arguments."""
        packed: list[bytes] = self._packer.pack(*args)  # type: ignore[arg-type]  # redis-py declares the wrong type
        return packed

    async def on_connect(self) -> None:
        """Introduce the client on a new connection, without a health check before its first command.

        redis-py would connect anew within that check if the server closes, and check again within that, without end.
        """
        self.next_health_check = asyncio.get_running_loop().time() + self.health_check_interval
        await super().on_connect()

    async def can_read_destructive(self) -> bool:
        """Return whether the connection cannot be used: it is closed, or has an unread answer.

        redis-py reads with a timeout of 0 instead, which costs an iteration of the event loop, and hides a cancellation
        at that moment.
        """
        reader = self._reader
        if reader is None or reader.exception() is not None or reader.at_eof():
            return True
        if self._writer is None or self._writer.transport.is_closing():
            return True
        return bool(reader._buffer) or self._parser._reader.has_data()  # type: ignore[attr-defined]  # noqa: SLF001 -- redis-py looks there too

    async def read_response(
        self,
        disable_decoding: bool = False,  # noqa: FBT001, FBT002 -- redis-py's own signature
        timeout: float | None = None,  # noqa: ASYNC109 -- as above
        *,
        disconnect_on_error: bool = True,
        push_request: bool | None = False,
    ) -> Any:
        """Return an answer; one that is here already, as most of a pipeline's are, without redis-py's timer for each."""
        reader = self._parser._reader  # type: ignore[attr-defined]  # noqa: SLF001 -- redis-py reads there too
        if disable_decoding or not self.is_connected or not reader.has_data():
            return await super().read_response(
                disable_decoding, timeout, disconnect_on_error=disconnect_on_error, push_request=push_request
            )
        try:
            answer = reader.gets()
        except BaseException:
            await self.disconnect(nowait=True)
            raise
        if answer is NOT_ENOUGH_DATA:  # what is there of it stays in the reader
            return await super().read_response(
                timeout=timeout, disconnect_on_error=disconnect_on_error, push_request=push_request
            )
        error = answer[0] if isinstance(answer, list) and answer else answer
        if isinstance(error, ConnectionError):
            await self.disconnect(nowait=True)
            raise error
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 -- redis-py's own signature
    ) -> None:
        """Send a command without redis-py's extra task for a timeout, since waiting for the answer has one."""
        if isinstance(command, bytes | str):
            await super().send_packed_command(command, check_health)
            return
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        elif check_health:
            await self.check_health()  # type: ignore[no-untyped-call]  # as above
        writer = self._writer
        if writer is None or writer.transport.is_closing():
            await self.disconnect(nowait=True)
            raise ConnectionError("the connection is closing")  # is retried, unlike uvloop's own error
        writer.writelines(command)

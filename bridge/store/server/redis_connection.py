"""redis-py's connection with fewer event loop iterations per command, since a busy worker's take tens of ms each."""

from collections.abc import Iterable
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError, ResponseError  # noqa: A004 -- redis's own error is meant
from redis.typing import EncodableT


class FewTurnsConnection(AbstractConnection):
    """A mixin for redis-py's connection classes; it changes neither what is sent nor how errors are handled."""

    _packer = HiredisRespSerializer()

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Encode commands with hiredis, as the blocking client does, because some have thousands of arguments."""
        packed: list[bytes] = self._packer.pack(*args)  # type: ignore[arg-type]  # redis-py declares the wrong type
        return packed

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
        if isinstance(command, bytes | str) or not self.is_connected:
            await super().send_packed_command(command, check_health)
            return
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        writer = self._writer
        if writer is None or writer.transport.is_closing():
            await self.disconnect(nowait=True)
            raise ConnectionError("the connection is closing")  # is retried, unlike uvloop's own error
        writer.writelines(command)

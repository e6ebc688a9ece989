"""redis-py's connection with fewer event loop iterations per command, since a busy worker's take tens of ms each."""

from collections.abc import Iterable

from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError  # noqa: A004 -- redis's own error is meant
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

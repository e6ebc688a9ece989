"""redis-py's connection with fewer turns of the event loop a command: each turn of a busy worker takes tens of ms."""

from collections.abc import Iterable

from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError  # noqa: A004 -- redis's own error is meant
from redis.typing import EncodableT


class FewTurnsConnection(AbstractConnection):
    """Goes before a class of connection; what is sent, and what an error does, stays as it is there."""

    _packer = HiredisRespSerializer()

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Let hiredis write commands, as the blocking client does: a page of work has thousands of arguments."""
        packed: list[bytes] = self._packer.pack(*args)  # type: ignore[arg-type]  # redis-py wrote down the wrong type
        return packed

    async def can_read_destructive(self) -> bool:
        """Say whether the connection is unfit for a command: it ended, or somebody left an answer on it.

        redis-py reads, and lets a timeout of no time cancel that, which costs a turn of the loop and hides a
        cancellation that comes just then.
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
        """Send a command; redis-py starts a task to limit a wait that is none, since the answer's own is limited."""
        if isinstance(command, bytes | str) or not self.is_connected:
            await super().send_packed_command(command, check_health)
            return
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        writer = self._writer
        if writer is None or writer.transport.is_closing():
            await self.disconnect(nowait=True)
            raise ConnectionError("the connection is closing")  # which is retried; uvloop's own error is not
        writer.writelines(command)

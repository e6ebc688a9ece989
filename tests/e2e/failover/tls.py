"""TLS in front of a server whose binary has none, as stunnel does it: on one port it takes TLS, and plain connections too.

Sentinels, which have no TLS here either, use the plain ones. What came in over TLS reaches the server through its unix
socket, so that the server's list of clients tells who used which.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme

HOST = "127.0.0.1"
TLS_HELLO = 0x16


class TlsFront:
    """Listens on a port of loopback with a certificate of `authority`."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.plain_port = 0  # where plain connections go on to, 0: nowhere
        self.target: Path | int = 0  # and those over TLS: a unix socket or a port
        self._loop = asyncio.new_event_loop()
        self._relays: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections, and let nobody else in."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for each in self._relays:
            each.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._tell_apart, args=(client,), daemon=True).start()

    def _tell_apart(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = client.recv(1, socket.MSG_PEEK)
            client.settimeout(0)
            is_tls = bool(first) and first[0] == TLS_HELLO
            with self._lock:
                if not self._is_closed and (is_tls or (first and self.plain_port)):
                    asyncio.run_coroutine_threadsafe(self._relay(client, is_tls=is_tls), self._loop)
                    return
        client.close()

    async def _relay(self, client: socket.socket, *, is_tls: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with contextlib.suppress(OSError):  # ssl.SSLError too: a client that does not trust us
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, client, ssl=self._context if is_tls else None
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            try:
                await self._pass_on(reader, writer, self.target if is_tls else self.plain_port)
            finally:
                transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Path | int
    ) -> None:
        if isinstance(target, int):
            back, forth = await asyncio.open_connection(HOST, target)
        else:
            back, forth = await asyncio.open_unix_connection(target)
        copies = [asyncio.create_task(_copy(reader, forth)), asyncio.create_task(_copy(back, writer))]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in copies:
                each.cancel()
            forth.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()


@contextlib.contextmanager
def tls_front(authority: trustme.CA, name: str = HOST) -> Iterator[TlsFront]:
    """Run a front for a while."""
    front = TlsFront(authority, name)
    try:
        yield front
    finally:
        front.close()

"""A relay in front of a server that can cut it off: from other servers while clients still reach it, or from all."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
FIRST_CHUNKS = 4  # a login comes in one of these


class Relay:
    """Passes connections on to a port of loopback or a Unix socket; those that log in as one user outlive a cut."""

    def __init__(self, user: str | None) -> None:
        self._user = None if user is None else user.encode()
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.target: int | Path = 0
        self._is_cut = False
        self._others: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End the connections of everybody else, and let nobody else in."""
        with self._lock:
            self._is_cut = True
            for each in self._others:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            with self._lock:
                self._others.add(client)
            with self._connect() as server:
                threading.Thread(target=_copy, args=(server, client), daemon=True).start()
                self._forward(client, server)
                server.shutdown(socket.SHUT_RDWR)  # or it stays open while the other thread reads from it
        with self._lock:
            self._others.discard(client)

    def _connect(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection((HOST, self.target))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self.target))
        except OSError:
            server.close()
            raise
        return server

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        chunks, known = 0, False
        while chunk := client.recv(1 << 16):
            chunks += 1
            if self._user and not known and chunks <= FIRST_CHUNKS and self._user in chunk:
                known = True
                with self._lock:
                    self._others.discard(client)
            if self._is_cut and not known:
                return
            server.sendall(chunk)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def running_relay(user: str | None = None) -> Iterator[Relay]:
    """Run a relay for a while; without a user nobody outlives a cut."""
    relay = Relay(user)
    try:
        yield relay
    finally:
        relay.close()

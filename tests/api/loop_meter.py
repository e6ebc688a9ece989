"""An API in a thread of its own, whose event loop is timed from outside."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from tests.api.serving import make_settings, serving

TICK_S = 0.001


class LoopMeter:
    """Measures the longest CPU time for which one request holds the event loop: what others wait meanwhile.

    The CPU time of the loop's thread is counted, so that other processes of the machine do not count.
    """

    def __init__(self) -> None:
        self.port = 0
        self._most_s = 0.0
        self._ready = threading.Event()

    def hold_ms(self, sent: bytes, *, rounds: int = 1, enough_ms: float = 0.0) -> tuple[float, int]:
        """Send a request until it holds the loop for no more than `enough_ms`, at most `rounds` times.

        Return the least of the times, in ms, and the status of the last answer. What is measured is a lower bound
        plus noise, hence the least.
        """
        least_ms = float("inf")
        status = 0
        for _ in range(rounds):
            time.sleep(2 * TICK_S)  # a tick passes, so that the work for the last request is not counted
            self._most_s = 0.0
            status = self._send(sent)
            time.sleep(2 * TICK_S)
            least_ms = min(least_ms, self._most_s * 1000)
            if least_ms <= enough_ms:
                break
        return least_ms, status

    def _send(self, sent: bytes) -> int:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(sent)
            answer = b""
            while chunk := _receive(connection):
                answer += chunk
        return int(answer.split(b" ", 2)[1])

    async def run(self, store: Path, stop: asyncio.Event) -> None:
        """Serve the API and time its loop until told to stop."""
        async with serving(make_settings(store)) as client:
            self.port = int(client.url.rpartition(":")[2])
            ticking = asyncio.create_task(self._tick())
            self._ready.set()
            await stop.wait()
            ticking.cancel()

    async def _tick(self) -> None:
        before_s = time.thread_time()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.thread_time()
            self._most_s, before_s = max(self._most_s, now_s - before_s), now_s

    def wait_until_ready(self) -> None:
        """Wait until the API serves."""
        assert self._ready.wait(30), "the API did not start"


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionError:  # the server closes without reading what it does not want
        return b""


@contextmanager
def metered_api(store: Path) -> Iterator[LoopMeter]:
    """Run an API on uvloop, as in production, on an empty store."""
    meter, stop, loops = LoopMeter(), asyncio.Event(), list[asyncio.AbstractEventLoop]()

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await meter.run(store, stop)

    def serve() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        meter.wait_until_ready()
        yield meter
    finally:
        for loop in loops:
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)

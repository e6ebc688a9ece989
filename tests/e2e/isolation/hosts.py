"""A host with many hooks: the first part of a path says how it behaves, and every attempt is written down."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.e2e.processes import until
from tests.http.receivers import read_request

ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "missing": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
}


@dataclass
class Attempt:
    """One POST: when it came, how long after its event, and when it was answered or given up."""

    path: str
    at: float
    after_s: float
    ended: float | None = None


@dataclass
class Host:
    """A running host. `ok` hooks answer 200, `missing` ones 404 at once, `hang` ones never."""

    url: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    most_at_once: int = 0
    _open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                line, _, body = await read_request(reader)
                attempt = self._note(line.split(" ")[1], body)
                try:
                    answer = ANSWERS.get(attempt.path.split("/")[1])
                    if answer is None:
                        await reader.read(1)  # until the other side gives up
                        return
                    writer.write(answer)
                    await writer.drain()
                finally:
                    attempt.ended = time.time()
                    self._open -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the sender closed an idle connection, or the test is over
        finally:
            writer.transport.abort()

    def _note(self, path: str, body: bytes) -> Attempt:
        now = time.time()
        happened = datetime.fromisoformat(json.loads(body)["timestamp"]).timestamp()
        attempt = Attempt(path, now, now - happened)
        self.attempts.append(attempt)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        return attempt

    def urls(self, behaviour: str, count: int, *, of: str = "") -> list[str]:
        """Return the URLs of so many hooks; `of` tells one client's from another's."""
        return [f"{self.url}/{behaviour}/{of}{number}" for number in range(count)]

    def first(self, urls: Sequence[str]) -> list[Attempt]:
        """Return the first attempt at each hook that had one."""
        found: dict[str, Attempt] = {}
        for attempt in self.attempts:
            found.setdefault(self.url + attempt.path, attempt)
        return [found[url] for url in urls if url in found]

    async def wait_first(self, urls: Sequence[str], *, within_s: float) -> list[Attempt]:
        """Wait until each hook had an attempt and return the first ones."""

        async def have_all() -> bool:
            return len(self.first(urls)) == len(urls)

        await until(have_all, within_s=within_s, every_s=0.01)
        return self.first(urls)

    async def wait_attempts(self, count: int, *, within_s: float) -> None:
        """Wait until so many attempts have come."""

        async def have_come() -> bool:
            return len(self.attempts) >= count

        await until(have_come, within_s=within_s, every_s=0.01)

    def count_within(self, seconds: float) -> int:
        """Return the most attempts that began in any window of so many seconds."""
        times = [attempt.at for attempt in self.attempts]
        return max(sum(begin <= at <= begin + seconds for at in times) for begin in times)


@contextlib.asynccontextmanager
async def running_host() -> AsyncIterator[Host]:
    """Run a host for a while; what hangs is cut off at the end, so that the bridge can stop."""
    host = Host()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await host.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Upstream and receivers in one fast process: canned answers over keep-alive connections, and a count of requests.

`python stub.py RECEIVERS` prints the ports as JSON: first the upstream's, then one a receiver. A job whose id begins
with `ends` has completed, one with `waits` is still pending, one with `group` is pending until the next `GET /end`, any other
runs for ever. `GET /counts` gives how many reads and posts came, `GET /end` and `GET /arrivals` are about groups.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

RATE_WINDOW_S = 60
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'


class Counts:
    """How many requests came, over all connections; times are seconds of one clock."""

    def __init__(self) -> None:
        self.reads = 0
        self.posts = 0
        self.group_ended_s = 0.0  # 0: groups are pending
        self.arrivals: list[tuple[str, float]] = []  # since then: which hook was called, and when


class Peer(asyncio.Protocol):
    """One keep-alive connection; requests may come in pieces."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._came = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None, "data come after the connection"
        self._came += data
        while (end := self._end_of_request()) is not None:
            request, self._came = self._came[:end], self._came[end:]
            self._transport.write(self._answer(request))

    def _end_of_request(self) -> int | None:
        head = self._came.find(HEAD_END)
        if head < 0:
            return None
        end = head + len(HEAD_END)
        if self._came.startswith(b"POST"):
            lower = self._came[:head].lower()
            at = lower.index(LENGTH) + len(LENGTH)
            end += int(lower[at:].partition(b"\r\n")[0])
        return end if len(self._came) >= end else None

    def _answer(self, request: bytes) -> bytes:
        counts, path = self._counts, request.split(b" ", 2)[1]
        if request.startswith(b"POST"):
            counts.posts += 1
            if counts.group_ended_s:
                counts.arrivals.append((path.decode(), time.perf_counter()))
            return TAKEN
        if path.startswith(b"/reelmirror/"):
            counts.reads += 1
            ended = counts.group_ended_s > 0
            return write_answer(write_job(path.rpartition(b"/")[2], group_ended=ended))
        return write_answer(json.dumps(self._obey(path)).encode())

    def _obey(self, path: bytes) -> object:
        """Do what the bench asks for, and return its answer."""
        counts = self._counts
        if path == b"/end":
            counts.group_ended_s = time.perf_counter()
        elif path == b"/arrivals":
            return [counts.group_ended_s, counts.arrivals]
        elif path == b"/pending":
            counts.group_ended_s, counts.arrivals = 0.0, []
        return [counts.reads, counts.posts]


def write_job(job: bytes, *, group_ended: bool = False) -> bytes:
    """A sync job as ReelMirror shows it (guide "Webhooks")."""
    status = b"running"
    if job.startswith(b"ends") or (group_ended and job.startswith(b"group")):
        status = b"completed"
    elif job.startswith((b"waits", b"group")):
        status = b"pending"
    return (
        b'{"data":{"id":"%b","status":"%b","persona_id":"7d4f0a52-6c1e-4f0b-9a53-1f2e3d4c5b6a",'
        b'"source_id":"0b9c8d7e-6f5a-4b3c-8d2e-1f0a9b8c7d6e","type":"source_sync","progress":40,'
        b'"started_at":"2026-11-21T10:30:00.000Z","created_at":"2026-11-21T10:29:58.000Z","error_message":null}}'
        % (job, status)
    )


def write_answer(body: bytes) -> bytes:
    """Any answer, with rate headers that allow more than anybody asks for."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-RateLimit-Limit: 1000000\r\n"
        b"X-RateLimit-Remaining: 999999\r\nX-RateLimit-Reset: %d\r\nContent-Length: %d\r\n\r\n%b"
        % ((time.time() // RATE_WINDOW_S + 1) * RATE_WINDOW_S, len(body), body)
    )


async def serve(receivers: int) -> None:
    """Serve until killed."""
    counts, loop = Counts(), asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Peer(counts), "127.0.0.1", 0) for _ in range(receivers + 1)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)  # noqa: T201 -- whoever started it reads this
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

"""What servers in the tables of exchanges do."""

import asyncio
from asyncio import StreamReader, StreamWriter

from tests.http.receivers import OK, Act

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def then_close(answer: bytes) -> Act:
    """Return an act that answers and closes the connection."""

    async def act(_reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    return act


def odd(fields: bytes) -> bytes:
    return HEAD + fields + b"\r\nok"


class LateAnswer:
    """An act that answers, and sends another answer once the connection is idle."""

    def __init__(self) -> None:
        self._idle = asyncio.Event()
        self._wrote = asyncio.Event()

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._idle, self._wrote = asyncio.Event(), asyncio.Event()  # of the loop that runs now
        writer.write(OK)
        await self._idle.wait()
        writer.write(HEAD + b"Content-Length: 5\r\n\r\nother")
        self._wrote.set()
        await reader.read()

    async def wait(self) -> None:
        """Let the other answer arrive: it is in the kernel's buffer, and a few turns of the loop read it."""
        self._idle.set()
        await self._wrote.wait()
        for _ in range(5):
            await asyncio.sleep(0)


LATE = LateAnswer()


async def refuse_early(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer before the body was read."""
    await reader.readexactly(100_000)
    writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    await reader.read()

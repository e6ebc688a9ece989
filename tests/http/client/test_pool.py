"""How many connections are kept, whoever they lead to."""

import asyncio
import ssl
from collections.abc import Sequence

from bridge.http.client.connector import Connector
from bridge.http.client.http_client import HttpClient

MOST_OPEN = 10
OK = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 0\r\n\r\n"


class CountingReceiver:
    """A receiver that keeps connections, and counts those it has and those it had."""

    def __init__(self) -> None:
        self.connects = 0
        self.open = 0
        self.few = asyncio.Event()  # of those that were opened, no more are left than may be kept
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        self.open += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open -= 1  # the client has closed it
            if self.open <= MOST_OPEN:
                self.few.set()
        finally:
            writer.close()


async def _find_all(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_a_receiver_at_many_names_gets_no_more_kept_connections_than_others() -> None:
    """Open ones are bounded over all origins, and of two origins the one that was asked last keeps its connection."""
    receiver = CountingReceiver()
    client = HttpClient(Connector(lookup=_find_all, tls=ssl.create_default_context()), most_open=MOST_OPEN)

    async def get(number: int) -> None:
        until = asyncio.get_running_loop().time() + 20
        origin = f"http://h{number}.example:{receiver.port}"
        (await client.get(origin, "/", {}, until=until)).release()

    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        receiver.port = server.sockets[0].getsockname()[1]
        for number in range(MOST_OPEN * 2):
            await get(number)
        await asyncio.wait_for(receiver.few.wait(), 10)
        await get(MOST_OPEN * 2 - 1)
        assert (receiver.connects, receiver.open) == (MOST_OPEN * 2, MOST_OPEN)
        await client.close()

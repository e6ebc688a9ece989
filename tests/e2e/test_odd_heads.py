"""Heads of responses that strict parsers refuse, through real processes: nothing is sent twice, no job is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import SPEED, Bridge, Simulator, running_bridge, running_simulator, until
from tests.e2e.test_delivery import ended_job, until_delivery
from tests.http.receivers import OK, read_request, receive

pytestmark = pytest.mark.slow

LONG = b"Content-Security-Policy: " + b"p" * 9_000 + b"\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
BUSY = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + LONG + b"Content-Length: 2\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        HEAD + LONG * 20 + b"Content-Length: 2\r\n\r\nok",
    ],
    ids=["9 KB", "the same length twice", "180 KB"],
)
async def test_a_200_with_an_odd_head_is_delivered_once(
    answer: bytes, bridge: Bridge, simulator: Simulator
) -> None:
    """The first answer is believed: the receiver sees the event once, and the API says that it succeeded."""
    async with receive(BUSY, answer, OK) as receiver:
        callback = await bridge.register(job_id=await ended_job(simulator), callback_url=receiver.url("/x"))
        delivery = await until_delivery(bridge, callback, "succeeded")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [503, 200]
    assert len(receiver.requests) == 2


@asynccontextmanager
async def adding_to_heads(port: int, added: bytes) -> AsyncIterator[str]:
    """Run a proxy that adds a field to each response, as security products before an upstream do; give its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line, headers, _ = await read_request(reader)
            behind, before = await asyncio.open_connection("127.0.0.1", port)
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            before.write(f"{line}\r\n{fields}connection: close\r\n\r\n".encode())
            head, _, body = (await behind.read()).partition(b"\r\n")
            writer.write(head + b"\r\n" + added + body)
            before.close()
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the bridge is stopping
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_upstream_whose_answers_have_a_long_field_is_read(tmp_path: Path) -> None:
    """Before, such an upstream was an outage for ever, and the job ended as timed out."""
    with running_simulator(speed=SPEED) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        async with adding_to_heads(port, LONG) as proxy, receive(OK) as receiver:
            base_url = f"{proxy}/reelmirror/api"
            with running_bridge(simulator, tmp_path, REELMIRROR_BASE_URL=base_url) as bridge:
                await bridge.register(job_id=await ended_job(simulator), callback_url=receiver.url("/x"))

                async def delivered() -> bool:
                    return bool(receiver.requests)

                await until(delivered, within_s=20)
    assert b'"type":"sync_job.completed"' in receiver.requests[0][2]

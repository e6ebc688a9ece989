"""A process that stood still past a time limit."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from bridge.http.client.client_errors import UnansweredError
from tests.http.receivers import exchanging

LIMIT_S = 0.3


@dataclass
class Answerer:
    """A server in a thread of its own, which goes on while the event loop stands still; it answers when told to."""

    port: int
    requested: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(1 << 16)
            self.requested.set()
            self.may_answer.wait(20)
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            self.answered.set()
            client.recv(1)


@contextlib.contextmanager
def answering() -> Iterator[Answerer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Answerer(listener.getsockname()[1])
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            thread.join(20)


@contextlib.contextmanager
def standing_still(stand_still: Callable[[], None]) -> Iterator[None]:
    """Let the event loop stand still while it reads, behind which uvloop runs its timers."""
    loop, (ours, theirs) = asyncio.get_running_loop(), socket.socketpair()
    with ours, theirs:

        def read() -> None:
            ours.recv(1)
            stand_still()

        loop.add_reader(ours, read)
        theirs.send(b"x")
        try:
            yield
        finally:
            loop.remove_reader(ours)


@pytest.mark.parametrize("answers", [True, False])
async def test_an_answer_that_came_while_the_process_stood_still_counts(answers: bool) -> None:  # noqa: FBT001
    """A repetition would be the second one that the receiver gets; without an answer the limit holds."""
    with answering() as server:
        async with exchanging() as exchanges:
            until = asyncio.get_running_loop().time() + LIMIT_S
            origin = f"http://127.0.0.1:{server.port}"
            exchange = asyncio.create_task(exchanges.post(origin, "/", {}, b"{}", until=until))
            await asyncio.to_thread(server.requested.wait, 20)

            def stand_still() -> None:
                if answers:
                    server.may_answer.set()
                    server.answered.wait(20)
                time.sleep(LIMIT_S * 2)

            with standing_still(stand_still):
                if answers:
                    response = await exchange
                    assert response.status == 204
                    response.close()
                else:
                    with pytest.raises(UnansweredError):
                        await exchange

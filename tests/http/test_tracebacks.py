"""Failed attempts leave no reference cycles: what they held is free at once, without the garbage collector."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from bridge.http.receivers import Sender
from bridge.http.upstream import Login, UpstreamClient
from bridge.providers.registry import KINDS
from bridge.providers.spec import ExtraWords
from tests.e2e.processes import free_port
from tests.http.receivers import OK, receive, sending

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Act = bytes | Callable[[Reader, Writer], Awaitable[None]]


class WatchedLogin(Login):
    """A login that a weak reference can watch."""

    __slots__ = ("__weakref__",)


class Headers(dict[str, str]):
    """Headers that a weak reference can watch; every frame of an attempt holds them."""


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _reset(_reader: Reader, writer: Writer) -> None:
    writer.transport.abort()


async def _hang_up(_reader: Reader, writer: Writer) -> None:
    writer.close()


async def _silent(reader: Reader, _writer: Writer) -> None:
    await reader.read()


ACTS: dict[str, Act] = {
    "success": OK,
    "refusal": b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
    "surplus": OK + b"EXTRA",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a head too large": b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 100_000,
    "reset": _reset,
    "closed": _hang_up,
    "timeout": _silent,
}


async def leaves_nothing(sender: Sender, url: str) -> str | None:
    """Make one attempt, check that what it held is free, and give its failure."""
    headers = Headers({"x-key": "k"})
    watched = weakref.ref(headers)
    answer = await sender.post(url, headers=headers, body=b"{}", timeout_s=0.5)
    del headers
    await until_free(watched)
    return answer.failure


async def until_free(watched: weakref.ref[Any]) -> None:
    """Wait until nothing refers to an object; the loop's own handles end a turn or two later."""
    async with asyncio.timeout(5):
        while watched() is not None:  # noqa: ASYNC110 -- nothing tells when an object is freed
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
async def test_an_attempt_leaves_nothing_in_memory(act: Act) -> None:
    """Whatever the receiver does; on a new connection and on a kept one."""
    async with receive(OK, act) as receiver, sending() as sender:
        for _ in range(3):
            await leaves_nothing(sender, receiver.url())


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://127.0.0.1:{port}/", "connect"),
        ("http://two.test:{port}/", "connect"),
        ("http://unknown.test/", "dns"),
        ("http://refused.test/", "refused_address"),
    ],
)
async def test_an_attempt_that_does_not_connect_leaves_nothing_in_memory(url: str, failure: str) -> None:
    """A closed port, with one address and with two, a name that is not known, an address that is not allowed."""
    names = {"two.test": ["127.0.0.1", "127.0.0.2"], "refused.test": ["169.254.169.254"]}
    async with sending(names=names) as sender:
        assert await leaves_nothing(sender, url.format(port=free_port())) == failure


@pytest.mark.parametrize("act", [*ACTS.values(), None], ids=[*ACTS.keys(), "closed port"])
async def test_a_read_of_an_upstream_leaves_nothing_in_memory(act: Act | None) -> None:
    """The same holds for reads: an upstream that is away for hours must cost no memory."""
    async with (
        receive(act or OK) as upstream,
        UpstreamClient(user_agent="t", words=ExtraWords(), timeout_s=0.5) as client,
    ):
        base_url = upstream.url("") if act else f"http://127.0.0.1:{free_port()}"
        for _ in range(2):
            login = WatchedLogin(provider="reelmirror", base_url=base_url, credential="rm_" + "b" * 32)
            watched = weakref.ref(login)
            await client.read(login, KINDS["sync_job"], "1", now_ms=0)
            del login
            await until_free(watched)

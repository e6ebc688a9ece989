"""One project's calls, and a store that is away, delay nobody else's."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.api.store_server import running_store
from tests.proxy.test_broken import wait_for_end
from tests.proxy.wire import OK, Proxied, add_tenant, proxying


async def test_calls_that_hang_leave_places_to_another_project(proxied: Proxied) -> None:
    """Of 80 calls that the provider lets hang, 64 are under way; another project is answered at once."""
    other = await add_tenant(proxied)
    proxied.upstream.answers = [wait_for_end]
    async with AsyncExitStack() as opened:
        for _ in range(80):
            connection = await opened.enter_async_context(proxied.connect())
            await connection.send(proxied.write())
        await proxied.upstream.wait(lambda upstream: len(upstream.requests) == 64)
        proxied.upstream.answers = [OK]
        assert (await proxied.ask(key=other)).status == 200
        assert len(proxied.upstream.requests) == 65
    # Clients that went away have left their places, and those who waited for one too.
    await proxied.upstream.wait(lambda upstream: len(upstream.open) <= 1)
    answers = await asyncio.gather(*(proxied.ask() for _ in range(64)))
    assert {answer.status for answer in answers} == {200}


async def test_a_store_that_is_away_is_a_503_of_ours(tmp_path: Path) -> None:
    """Nobody is let through unchecked, and the answer comes at once."""
    with running_store(tmp_path) as socket:
        stopped = AsyncExitStack()
        proxied = await stopped.enter_async_context(proxying(socket))
        assert (await proxied.ask()).status == 200
    try:
        answer = await proxied.ask(key="brk_another")
        assert (answer.status, answer.first(b"x-reelbridge-error")) == (503, b"service_unavailable")
        assert answer.first(b"retry-after") == b"1"
        assert len(proxied.upstream.requests) == 1
    finally:
        await stopped.aclose()

"""Calls that begin work while the store goes away."""

import asyncio
from collections.abc import Callable

from tests.e2e.processes import until
from tests.proxy.test_safe_starts import BEGUN, answer, begin, posts, reason
from tests.proxy.wire import Act, proxying
from tests.store.conftest import Server, start_server

__all__ = ["start_server"]


def killing(store: Server, data: bytes) -> Act:
    """Return an upstream that answers when the store has just been killed."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store.stop()
        writer.write(data)
        await writer.drain()

    return act


async def test_an_answer_that_comes_while_the_store_is_away_is_kept_once_it_is_back(
    start_server: Callable[[], Server],
) -> None:
    """The client gets it at once, and nothing is sent a second time; without a store nothing is sent at all."""
    store = start_server()
    async with proxying(store.socket) as proxied:
        proxied.upstream.answers = [killing(store, answer(b"202 Accepted"))]
        first = await begin(proxied, b"X-Webhook-URL: inbox:")
        assert (first.status, first.body) == (202, BEGUN)
        assert first.first(b"x-webhook-status") == b"pending"
        refused = await begin(proxied, b"Idempotency-Key: k2")
        assert (refused.status, refused.first(b"x-reelbridge-error")) == (503, b"service_unavailable")
        assert posts(proxied) == 1
        start_server()

        async def is_replayed() -> bool:
            repeated = await begin(proxied)
            if repeated.status != 503:
                assert repeated.first(b"x-webhook-status") == b"registered", reason(repeated)
            return repeated.status == 202

        await until(is_replayed)
        assert posts(proxied) == 1
        proxied.upstream.answers = [answer(b"202 Accepted")]
        assert (await begin(proxied, b"Idempotency-Key: k2")).status == 202, "it was not sent then"

"""The embedded store's life under `up`: started first, started again when it dies, stopped last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bridge.cli.errors import CommandError
from bridge.cli.supervisor.child import FIRST_PAUSE_S, LONGEST_PAUSE_S, LOOP_AFTER_DEATHS, Say
from bridge.config.settings import Settings
from bridge.store.server.embedded import EmbeddedStore, EmbeddedStoreError
from bridge.store.server.engines import NoEngineError
from bridge.store.server.sockets import SocketPlaceError

SERVER_PATIENCE_S = 20.0
NOT_STARTED = (EmbeddedStoreError, NoEngineError, SocketPlaceError, OSError)


@asynccontextmanager
async def running_store(settings: Settings, *, say: Say, stop: asyncio.Event) -> AsyncIterator[str]:
    """The store's address: the operator's, or that of an embedded one which runs as long as the block."""
    if settings.redis_url is not None:
        await _wait_for_server(settings, say, stop)
        yield settings.redis_url.get_secret_value()
        return
    store = EmbeddedStore(settings.data_dir)
    try:
        await store.start()
    except NOT_STARTED as error:
        raise CommandError(str(error)) from None
    say(
        "store",
        f"{store.engine} in {settings.data_dir / 'store'}"
        + (" (was still running)" if store.adopted else ""),
    )
    keeper = asyncio.create_task(_keep(store, say))
    try:
        yield store.url
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await store.stop()


async def _wait_for_server(settings: Settings, say: Say, stop: asyncio.Event) -> None:
    """Give a server that is just starting some time; refuse one that cannot be trusted with callbacks."""
    from redis.exceptions import RedisError  # noqa: PLC0415 -- a start with an embedded store is quicker without

    from bridge.store.server.connect import UnfitStoreError, check_store, connect  # noqa: PLC0415 -- likewise

    deadline = asyncio.get_running_loop().time() + SERVER_PATIENCE_S
    waited = False
    while True:
        try:
            async with asyncio.timeout(SERVER_PATIENCE_S), connect(settings) as redis:
                facts = await check_store(redis)
        except UnfitStoreError as error:
            raise CommandError(str(error)) from None
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            if stop.is_set() or asyncio.get_running_loop().time() > deadline:
                raise CommandError(
                    f"REELBRIDGE_REDIS_URL: no use of the server there ({type(error).__name__}): check the address, the"
                    " password and that it runs; or unset it for an embedded store"
                ) from None
        else:
            say("store", f"{facts.engine} {facts.version} at REELBRIDGE_REDIS_URL")
            return
        if not waited:
            say("store", "REELBRIDGE_REDIS_URL does not answer yet; waiting")
            waited = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)


async def _keep(store: EmbeddedStore, say: Say) -> None:
    loop = asyncio.get_running_loop()
    deaths = 0
    began = loop.time()
    while True:
        await store.wait_gone()
        deaths = 1 if loop.time() - began > LONGEST_PAUSE_S else deaths + 1
        if deaths >= LOOP_AFTER_DEATHS:
            say("store", f"has died {deaths} times in a row; its last lines:\n{store.log_tail()}")
        if deaths > 1:
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**deaths))
        began = loop.time()
        try:
            await store.start()
        except NOT_STARTED as error:
            say("store", f"has died and cannot be started again: {error}")
        else:
            say("store", "had died and runs again")

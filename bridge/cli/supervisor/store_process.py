"""Run the embedded store under `up`: started first, restarted when it dies, stopped last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bridge.cli.local.errors import CommandError
from bridge.cli.supervisor.supervised_process import (
    CRASH_LOOP_DEATHS,
    MAX_RESTART_DELAY_S,
    MIN_RESTART_DELAY_S,
    WriteLine,
)
from bridge.config.settings import Settings
from bridge.store.server.embedded import EmbeddedStore
from bridge.store.server.engines import NoEngineError
from bridge.store.server.errors import EmbeddedStoreError
from bridge.store.server.rewrites import lower_rewrites
from bridge.store.server.sockets import SocketPlaceError

SERVER_WAIT_S = 20.0
NOT_STARTED = (EmbeddedStoreError, NoEngineError, SocketPlaceError, OSError)


@asynccontextmanager
async def running_store(
    settings: Settings, *, write_line: WriteLine, stop: asyncio.Event
) -> AsyncIterator[str]:
    """Yield the store's URL: REELBRIDGE_REDIS_URL, or that of an embedded store which runs as long as the block.

    Raise `CommandError` when the store cannot be used.
    """
    if settings.redis_url is not None:
        await _wait_for_server(settings, write_line, stop)
        yield settings.redis_url.get_secret_value()
        return
    store = EmbeddedStore(settings.data_dir, memory_bytes=settings.store_memory)
    try:
        await store.start()
    except NOT_STARTED as error:
        raise CommandError(str(error)) from None
    _report_repairs(store, write_line)
    write_line(
        "store",
        f"{store.engine} in {settings.data_dir / 'store'}, which takes nothing new above {store.memory_bytes >> 20:,} MB"
        + (" (was still running)" if store.adopted else ""),
    )
    keepers = [asyncio.create_task(each(store, write_line)) for each in (_keep_running, _lower_rewrites)]
    try:
        yield store.url
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await store.stop()


async def _wait_for_server(settings: Settings, write_line: WriteLine, stop: asyncio.Event) -> None:
    """Wait for a server that is just starting; raise `CommandError` if it stays away or could lose callbacks."""
    from bridge.store.errors import STORE_ERRORS  # noqa: PLC0415 -- a start with an embedded store is quicker without
    from bridge.store.server.connect import connect  # noqa: PLC0415 -- likewise
    from bridge.store.server.fitness import UnfitStoreError, check_store  # noqa: PLC0415 -- likewise

    deadline = asyncio.get_running_loop().time() + SERVER_WAIT_S
    waited = False
    while True:
        try:
            async with asyncio.timeout(SERVER_WAIT_S), connect(settings) as redis:
                facts = await check_store(redis)
        except UnfitStoreError as error:
            raise CommandError(str(error)) from None
        except STORE_ERRORS as error:  # TimeoutError is an OSError
            if stop.is_set() or asyncio.get_running_loop().time() > deadline:
                raise CommandError(
                    f"REELBRIDGE_REDIS_URL: no use of the server there ({type(error).__name__}): check the address, the"
                    " password and that it runs; or unset it for an embedded store"
                ) from None
        else:
            write_line("store", f"{facts.engine} {facts.version} at REELBRIDGE_REDIS_URL")
            return
        if not waited:
            write_line("store", "REELBRIDGE_REDIS_URL does not answer yet; waiting")
            waited = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)


async def _keep_running(store: EmbeddedStore, write_line: WriteLine) -> None:
    loop = asyncio.get_running_loop()
    deaths = 0
    began = loop.time()
    while True:
        await store.wait_gone()
        deaths = 1 if loop.time() - began > MAX_RESTART_DELAY_S else deaths + 1
        if deaths >= CRASH_LOOP_DEATHS:
            write_line("store", f"has died {deaths} times in a row; its last lines:\n{store.log_tail()}")
        if deaths > 1:
            await asyncio.sleep(min(MAX_RESTART_DELAY_S, MIN_RESTART_DELAY_S * 2**deaths))
        began = loop.time()
        try:
            await store.start()
        except NOT_STARTED as error:
            write_line("store", f"has died and cannot be started again: {error}")
        else:
            _report_repairs(store, write_line)
            write_line("store", "had died and runs again")


async def _lower_rewrites(store: EmbeddedStore, write_line: WriteLine) -> None:
    try:
        await lower_rewrites(store.socket)
    except Exception as error:  # noqa: BLE001 -- a store that is slow at times is better than none
        write_line("store", f"what is due may be delayed while it rewrites its file ({type(error).__name__})")


def _report_repairs(store: EmbeddedStore, write_line: WriteLine) -> None:
    while store.repairs:
        write_line("store", str(store.repairs.pop(0)))

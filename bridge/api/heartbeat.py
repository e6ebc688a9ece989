"""The heartbeat of an API process, which shows that the starts it has taken on are still in its hands.

With it goes what the process has counted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bridge.services.context import Services
from bridge.store.errors import STORE_ERRORS

INTERVAL_S = 3.0  # three fit into the silence after which a process counts as gone


@asynccontextmanager
async def beating(services: Services) -> AsyncIterator[None]:
    """Send heartbeats while the block runs, then take the process out of the list."""
    beats = services.store.api_heartbeats
    await beats.beat(services.process, services.clock_ms())
    task = asyncio.create_task(_beat(services))
    try:
        yield
    finally:
        task.cancel()
        await services.store.tallies.flush()
        with suppress(*STORE_ERRORS):
            await beats.leave(services.process)


async def _beat(services: Services) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        with suppress(*STORE_ERRORS):  # the next one may come through
            await services.store.api_heartbeats.beat(services.process, services.clock_ms())
        await services.store.tallies.flush()

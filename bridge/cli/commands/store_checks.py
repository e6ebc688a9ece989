"""What `reelbridge doctor` checks of the store: an embedded one by its files, another by asking it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from bridge.cli.commands.findings import Finding
from bridge.cli.commands.network_checks import judge_clock
from bridge.cli.local.errors import CommandError
from bridge.cli.local.preflight import lock_directory
from bridge.cli.local.private_files import list_open
from bridge.config.settings import Settings
from bridge.domain.counts import say_count
from bridge.store.errors import STORE_ERRORS
from bridge.store.server.aof import find_damage
from bridge.store.server.aof_repair import explain_damage, list_copies
from bridge.store.server.connect import connect, connect_to_node
from bridge.store.server.engines import NoEngineError, find_engine
from bridge.store.server.fitness import UnfitStoreError, check_store
from bridge.store.server.markers import AOF_DIRECTORY, is_in_use
from bridge.store.server.replication import FIX, RISK, Replication

STORE_TIMEOUT_S = 10.0


async def check_store_settings(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what is found out about the store that the settings name."""
    if settings.redis_url is None:
        for finding in await asyncio.to_thread(lambda: list(_check_embedded(settings))):
            yield finding
        return
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S), connect(settings) as redis:
            facts = await check_store(redis)
            replication = Replication(redis, partial(connect_to_node, settings))
            await replication.look()
            theirs = await redis.time()
    except UnfitStoreError as error:
        yield Finding(level="wrong", text=str(error))
    except STORE_ERRORS as error:
        yield Finding(
            level="wrong",
            text=f"REELBRIDGE_REDIS_URL: no use of the server there ({type(error).__name__}):"
            " check the address, the password and that it runs",
        )
    else:
        yield Finding(level="ok", text=f"store: {facts.engine} {facts.version}, with its append-only file on")
        yield judge_clock(
            "the store", int(theirs[0]) * 1000 + int(theirs[1]) // 1000, now_ms=int(time.time() * 1000)
        )
        if replication.alone:
            yield Finding(level="warning", text=f"no fit replica: {replication.explain()}: {RISK}; {FIX}")
        if not facts.maxmemory:
            yield Finding(
                level="warning",
                text="the store has no memory limit, so that the system may end it when memory is short: set `maxmemory`"
                " to less than half of its machine's memory; at the limit new registrations are refused, and the rest"
                " goes on",
            )


def _check_embedded(settings: Settings) -> Iterator[Finding]:
    try:
        engine = find_engine()
    except NoEngineError as error:
        yield Finding(level="wrong", text=str(error))
        return
    yield Finding(level="ok", text=f"embedded store: {engine} in {settings.data_dir / 'store'}")
    yield _check_directory(settings)
    yield from _check_modes(settings.data_dir)
    directory = settings.data_dir / "store" / engine.name
    yield from _check_files(directory)
    for copy in list_copies(directory):
        yield Finding(
            level="warning",
            text=f"the store's append-only file was damaged and its tail was cut off: {copy} holds the files as they"
            " were; look at them or remove them",
        )


def _check_directory(settings: Settings) -> Finding:
    try:
        os.close(lock_directory(settings.data_dir))
    except CommandError as error:
        held = "another `reelbridge up`" in str(error)
        return (
            Finding(level="ok", text="`reelbridge up` is running here")
            if held
            else Finding(level="wrong", text=str(error))
        )
    return Finding(level="ok", text=f"{settings.data_dir} can be written")


def _check_modes(data_dir: Path) -> Iterator[Finding]:
    try:
        found = list_open(data_dir)
    except OSError as error:
        yield Finding(level="wrong", text=f"{error.filename}: {error.strerror}: run this as the user of `up`")
        return
    if found:
        yield Finding(
            level="warning",
            text=f"other users of this machine may look into {found[0]}: the next `reelbridge up` closes it, or says why"
            " it cannot",
        )


def _check_files(directory: Path) -> Iterator[Finding]:
    """Look for damage in the append-only files, unless a server is writing them."""
    if is_in_use(directory):
        return
    try:
        damage = find_damage(directory / AOF_DIRECTORY)
    except OSError as error:
        yield Finding(level="wrong", text=f"{error.filename} cannot be read ({error.strerror}): mend that")
        return
    if damage is None:
        return
    if not damage.is_tail:
        yield Finding(level="wrong", text=explain_damage(damage))
        return
    yield Finding(
        level="warning",
        text=f"{damage.file} ends in {say_count(damage.lost_bytes, 'byte that is', 'bytes that are')} no whole command, as after"
        " a power cut: the next `reelbridge up` keeps a copy and cuts this tail off",
    )

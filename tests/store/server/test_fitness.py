"""A server that could lose what a client was told is registered is refused, with the fix in the message."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bridge.config.settings import Settings
from bridge.store.server.connect import connect
from bridge.store.server.fitness import StoreFacts, UnfitStoreError, check_store
from tests.api.store_server import running_store

LINES = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
}


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    """A real server of its own."""
    with running_store(tmp_path) as socket:
        async with connect(Settings(redis_url=f"unix://{socket}", _env_file=None)) as redis:
            yield redis


async def ask_about(*, config: str = "everysec", **lines: str) -> StoreFacts:
    """Let `check_store` ask a server that answers INFO with these lines: other versions are not at hand."""
    text = "".join(f"{name}:{value}\r\n" for name, value in (LINES | lines).items())

    answers = {
        b"ping": "+PONG\r\n",
        b"info": f"${len(text)}\r\n{text}\r\n",
        b"config": f"*2\r\n$11\r\nappendfsync\r\n${len(config)}\r\n{config}\r\n" if config else "-ERR no\r\n",
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := await reader.readline()).startswith(b"*"):
            words = []
            for _ in range(int(head[1:])):
                await reader.readline()
                words.append((await reader.readline()).strip().lower())
            writer.write(answers.get(words[0], "+OK\r\n").encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with connect(Settings(redis_url=f"redis://127.0.0.1:{port}", _env_file=None)) as redis:
            return await check_store(redis)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("lines", "engine", "version"),
    [
        ({}, "redis", "7.2.4"),
        ({"redis_version": "8.0.1"}, "redis", "8.0.1"),
        # Valkey says for old clients that it is Redis 7.2.4.
        ({"valkey_version": "7.2.11"}, "valkey", "7.2.11"),
        ({"config": ""}, "redis", "7.2.4"),  # CONFIG is forbidden: INFO is enough
    ],
)
async def test_a_server_that_confirms_writes_is_fit(lines: dict[str, str], engine: str, version: str) -> None:
    """Redis from 7.2 on, and every Valkey, with the append-only file on."""
    assert await ask_about(**lines) == StoreFacts(engine=engine, version=version)


@pytest.mark.parametrize(
    ("lines", "fix"),
    [
        ({"redis_version": "7.0.15"}, "use Redis 7.2 or later, or Valkey"),
        ({"redis_version": "6.2.14"}, "use Redis 7.2 or later, or Valkey"),
        ({"aof_enabled": "0"}, "set `appendonly yes`"),
        ({"valkey_version": "8.1.0", "aof_enabled": "0"}, "set `appendonly yes`"),
        ({"maxmemory_policy": "volatile-lru"}, "set `maxmemory-policy noeviction`"),
        ({"config": "no"}, "set `appendfsync everysec`"),
    ],
)
async def test_an_unfit_server_is_refused_with_the_fix(lines: dict[str, str], fix: str) -> None:
    """Too old, without a file, evicting, or never syncing."""
    with pytest.raises(UnfitStoreError, match=fix):
        await ask_about(**lines)


async def test_a_real_server_is_judged_as_it_is_set(redis: Redis) -> None:
    """Each option alone makes a fit server unfit."""
    await check_store(redis)
    for name, bad, good in (
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("appendonly", "no", "yes"),
        ("appendfsync", "no", "everysec"),
    ):
        await redis.config_set(name, bad)
        with pytest.raises(UnfitStoreError, match=f"set `{name} {good}`"):
            await check_store(redis)
        await redis.config_set(name, good)
        await check_store(redis)

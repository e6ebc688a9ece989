"""Check that a server is suitable: that it does not lose what a client was told is registered."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

OLDEST_REDIS = (7, 2)  # the first with WAITAOF; every Valkey has it
PRIMARIES = "primaries"  # redis-py's name for the nodes of a Cluster that are written to


class UnfitStoreError(RuntimeError):
    """The Redis server cannot hold the bridge's state; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """Properties of the server."""

    engine: str  # "redis" or "valkey"
    version: str
    maxmemory: int = 0  # bytes at which it refuses new work, 0: never


async def check_store(redis: Redis) -> StoreFacts:
    """Look at the server once, at each primary node of a Cluster.

    A replica is looked at by `Replication`, which does not count on one that is not fit. Raise `UnfitStoreError` if it may lose what a client was told is registered: it is too old for WAITAOF, writes no
    append-only file or never syncs it, or may evict keys.
    """
    found = [check_node(info) for info in await _ask_nodes(redis, redis.info, "everything")]
    for config in await _ask_config(redis):
        if _text(config.get("appendfsync", config.get(b"appendfsync"))) == "no":
            raise UnfitStoreError(
                "the server's appendfsync is no, so that nothing tells when a callback is on disk:"
                " set `appendfsync everysec`"
            )
    return found[0]


def check_node(info: Mapping[str, Any]) -> StoreFacts:
    """Judge one server by its answer to INFO; raise `UnfitStoreError`."""
    engine = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    if engine == "redis" and _version_numbers(version) < OLDEST_REDIS:
        raise UnfitStoreError(
            f"the Redis server is version {version}, which cannot confirm that a callback is on disk:"
            " use Redis 7.2 or later, or Valkey; or unset REELBRIDGE_REDIS_URL for an embedded Valkey"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise UnfitStoreError(
            f"the server's maxmemory-policy is {policy}, which would throw away callbacks when memory is short:"
            " set `maxmemory-policy noeviction`"
        )
    if not info.get("aof_enabled"):
        raise UnfitStoreError(
            "the server writes no append-only file, so that accepted callbacks would be lost with it: set"
            " `appendonly yes` in its configuration file, or now and until its next start with"
            " `CONFIG SET appendonly yes`"
        )
    return StoreFacts(engine=engine, version=version, maxmemory=int(info.get("maxmemory", 0)))


async def _ask_nodes(redis: Redis, ask: Callable[..., Any], *args: str) -> list[Mapping[str, Any]]:
    """Return the answer of the server, or those of the primary nodes of a Cluster."""
    if not isinstance(redis, RedisCluster):
        return [await ask(*args)]
    answer = await ask(*args, target_nodes=PRIMARIES)
    by_node = isinstance(answer, dict) and answer and all(isinstance(each, dict) for each in answer.values())
    return list(answer.values()) if by_node else [answer]


async def _ask_config(redis: Redis) -> list[Mapping[Any, Any]]:
    try:
        return await _ask_nodes(redis, redis.config_get, "appendfsync")
    except ResponseError:  # services that run Redis for others often forbid CONFIG
        return []


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])

"""Connect to Redis, for the bridge and for arq, and check that the server is suitable."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from arq.connections import RedisSettings
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, ResponseError, TimeoutError  # noqa: A004 -- redis's own errors are meant

from bridge.config.settings import Settings, SettingsError
from bridge.store.server.redis_connection import FewTurnsConnection, FewTurnsPool

MAX_CONNECTIONS = 96
POOL_WAIT_S = 30
# Long, because WAITAOF waits for the disk, whose fsync may take seconds.
SOCKET_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 30
OLDEST_REDIS = (7, 2)  # the first with WAITAOF; every Valkey has it
PRIMARIES = "primaries"  # redis-py's name for the nodes of a Cluster that are written to
RETRIED: list[type[Exception]] = [ConnectionError, TimeoutError, BusyLoadingError, OSError]


class UnfitStoreError(RuntimeError):
    """The Redis server cannot hold the bridge's state; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """Properties of the server."""

    engine: str  # "redis" or "valkey"
    version: str
    maxmemory: int = 0  # bytes at which it refuses new work, 0: never


def _retry(times: int) -> Retry:
    return Retry(ExponentialBackoff(cap=0.5, base=0.05), times)


def _connection_options(*, retries: int = 4) -> dict[str, Any]:
    return {
        "decode_responses": False,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "health_check_interval": HEALTH_CHECK_S,
        "retry": _retry(retries),
        "retry_on_error": RETRIED,
    }


def _redis_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SettingsError(
            "REELBRIDGE_REDIS_URL: needed by api and worker on their own; set it, or run `reelbridge up`,"
            " which brings a store of its own"
        )
    return settings.redis_url.get_secret_value()


def connect(settings: Settings) -> Redis:
    """Return a client that limits its connections, and repeats a command when a connection breaks.

    So any script may be run twice by one call.
    """
    url = _redis_url(settings)
    if settings.redis_sentinel is not None:
        return _connect_sentinel(url, settings.redis_sentinel)
    if settings.redis_cluster:
        # RedisCluster offers the same commands but shares no class with Redis.
        return cast("Redis", RedisCluster.from_url(url, **_connection_options()))
    pool = FewTurnsPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=POOL_WAIT_S,
        **_tls_options(url),
        **_connection_options(),
    )
    # The URL chose the class: TCP, TLS or a Unix socket.
    pool.connection_class = type("Connection", (FewTurnsConnection, pool.connection_class), {})
    return Redis.from_pool(pool)


def _connect_sentinel(url: str, master: str) -> Redis:
    login = parse_url(_without_extra_hosts(url))
    options = {name: login[name] for name in ("username", "password", "db") if name in login}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        sentinel_addresses(url), **_connection_options(), **options
    )
    return cast("Redis", sentinel.master_for(master))


def _tls_options(url: str) -> dict[str, Any]:
    """Check the host name of a rediss:// server, which redis-py leaves out, unless the URL says otherwise."""
    parts = urlsplit(url)
    if parts.scheme == "rediss" and "ssl_check_hostname=" not in parts.query:
        return {"ssl_check_hostname": True}
    return {}


def sentinel_addresses(url: str) -> list[tuple[str, int]]:
    """Return the hosts and ports of `redis://[user:password@]HOST[:PORT],HOST[:PORT]…/DB`; the default is 26379."""
    hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    return [_split_host(host) for host in hosts if host]


def _split_host(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?", text)
    if match is None:
        raise SettingsError(
            "REELBRIDGE_REDIS_URL: not a list of Sentinels; use redis://HOST:PORT,HOST:PORT/DB"
        )
    return match[1].strip("[]"), int(match[2] or 26379)


def _without_extra_hosts(url: str) -> str:
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return parts._replace(netloc=login + at + hosts.split(",")[0]).geturl()


def arq_settings(settings: Settings) -> RedisSettings:
    """Return arq's settings, with enough retries that a restart of Redis does not end the worker.

    With Sentinel arq ignores the options for retries.
    """
    url = settings.arq_redis_url.get_secret_value() if settings.arq_redis_url else _redis_url(settings)
    by_sentinel = settings.redis_sentinel is not None and settings.arq_redis_url is None
    found = cast("Mapping[str, Any]", parse_url(_without_extra_hosts(url) if by_sentinel else url))
    tls = {name: value for name, value in found.items() if name.startswith("ssl_")} | _tls_options(url)
    return RedisSettings(
        host=sentinel_addresses(url) if by_sentinel else found.get("host", "localhost"),
        port=found.get("port", 6379),
        unix_socket_path=found.get("path"),
        database=found.get("db", 0),
        username=found.get("username"),
        password=found.get("password"),
        ssl=url.startswith("rediss:"),
        conn_timeout=int(CONNECT_TIMEOUT_S),
        conn_retries=30,
        sentinel=by_sentinel,
        sentinel_master=settings.redis_sentinel or "",
        retry_on_timeout=True,
        retry_on_error=RETRIED,
        retry=_retry(60),
        **tls,
    )


async def check_store(redis: Redis) -> StoreFacts:
    """Look at the server once, at each primary node of a Cluster.

    Raise `UnfitStoreError` if it may lose what a client was told is registered: it is too old for WAITAOF, writes no
    append-only file or never syncs it, or may evict keys.
    """
    found = [_check_node(info) for info in await _ask_nodes(redis, redis.info, "everything")]
    for config in await _ask_config(redis):
        if _text(config.get("appendfsync", config.get(b"appendfsync"))) == "no":
            raise UnfitStoreError(
                "the server's appendfsync is no, so that nothing tells when a callback is on disk:"
                " set `appendfsync everysec`"
            )
    return found[0]


def _check_node(info: Mapping[str, Any]) -> StoreFacts:
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

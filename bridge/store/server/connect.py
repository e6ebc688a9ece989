"""Connect to Redis, for the bridge and for arq, and check that the server is suitable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from arq.connections import RedisSettings
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 -- redis's own errors are meant

from bridge.config.settings import Settings, SettingsError
from bridge.store.server.redis_connection import FewTurnsConnection

MAX_CONNECTIONS = 96
POOL_WAIT_S = 30
# Long, because WAITAOF waits for the disk, whose fsync may take seconds.
SOCKET_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 30
OLDEST_REDIS = (7, 0)
OLDEST_WAITAOF = (7, 2)
RETRIED: list[type[Exception]] = [ConnectionError, TimeoutError, BusyLoadingError, OSError]


class UnfitStoreError(RuntimeError):
    """The Redis server cannot hold the bridge's state; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """Properties of the server."""

    engine: str  # "redis" or "valkey"
    version: str
    aof: bool  # WAITAOF works: the append-only file is on and the server knows the command
    persistent: bool  # the append-only file is on


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
    pool = BlockingConnectionPool.from_url(
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
    """Return the server's properties; raise `UnfitStoreError` if it is too old or may evict keys."""
    info = _one_node(await redis.info("everything"))
    engine = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    numbers = _version_numbers(version)
    if engine == "redis" and numbers < OLDEST_REDIS:
        raise UnfitStoreError(f"the Redis server is version {version}: use Redis 7.0 or later, or Valkey")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise UnfitStoreError(
            f"the server's maxmemory-policy is {policy}, which would throw away callbacks when memory is short:"
            " set `maxmemory-policy noeviction`"
        )
    persistent = bool(info.get("aof_enabled"))
    knows_waitaof = engine == "valkey" or numbers >= OLDEST_WAITAOF
    return StoreFacts(engine=engine, version=version, aof=persistent and knows_waitaof, persistent=persistent)


def _one_node(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return INFO of one node; a Cluster may answer with a table of all nodes."""
    if "redis_version" in info:
        return info
    return next((facts for facts in info.values() if isinstance(facts, dict)), {})


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])

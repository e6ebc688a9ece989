"""Connect to Redis, for the bridge and for arq."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from arq.connections import RedisSettings
from redis.asyncio import Connection, Redis, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 -- redis's own errors are meant

from bridge.config.settings import Settings, SettingsError
from bridge.store.server.patient_cluster import PatientCluster
from bridge.store.server.redis_connection import FewTurnsConnection, FewTurnsPool
from bridge.store.server.sentinel import PatientSentinelPool, PrimaryConnection, SentinelPool, Sentinels

MAX_CONNECTIONS = 96
POOL_WAIT_S = 30
# For Sentinels and for questions about one server: others can answer too, and none of them waits for a disk.
BRIEF_S = 2.0
SENTINELS_OWN = "sentinel_"  # `?sentinel_username=…&sentinel_password=…` in an address are for the Sentinels
# Long, because WAITAOF waits for the disk, whose fsync may take seconds.
SOCKET_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 30
RETRIED: list[type[Exception]] = [ConnectionError, TimeoutError, BusyLoadingError, OSError]


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

    So any script may be run twice by one call. With Sentinel its pool is a `SentinelPool`.
    """
    url = _redis_url(settings)
    if settings.redis_sentinel is not None:
        return Redis.from_pool(_sentinel_pool(url, settings.redis_sentinel, **_connection_options()))
    if settings.redis_cluster:
        # RedisCluster offers the same commands but shares no class with Redis.
        return cast("Redis", PatientCluster.from_url(url, **_tls_options(url), **_connection_options()))
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


async def close(redis: Redis) -> None:
    """Close a client of `connect`, once its commands under way have ended."""
    if isinstance(pool := getattr(redis, "connection_pool", None), FewTurnsPool):  # RedisCluster has none
        await pool.drain()
    await redis.aclose()


def sentinel_pool_for_arq(settings: Settings, retry: Retry) -> SentinelPool | None:
    """Return a pool for arq's queue with this policy of retries; None where arq's queue is not behind Sentinels."""
    if settings.redis_sentinel is None or settings.arq_redis_url is not None:
        return None
    options = _connection_options() | {"retry": retry}
    return _sentinel_pool(
        _redis_url(settings), settings.redis_sentinel, pool_class=PatientSentinelPool, **options
    )


def connect_to_node(settings: Settings, host: str, port: int) -> Redis:
    """Return a client for one server of a Cluster or behind Sentinels, for one question; it gives up soon."""
    url = _redis_url(settings)
    _, login = _split_logins(_login(url))
    return Redis(
        host=host, port=port, ssl=url.startswith("rediss:"), **(login | {"db": 0}), **_brief_options()
    )


def _sentinel_pool(
    url: str, primary: str, *, pool_class: type[SentinelPool] = SentinelPool, **options: Any
) -> SentinelPool:
    tls = url.startswith("rediss:")
    of_sentinels, login = _split_logins(_login(url))
    clients = [
        Redis(host=host, port=port, ssl=tls, **of_sentinels, **_brief_options())
        for host, port in sentinel_addresses(url)
    ]
    kind = SSLConnection if tls else Connection
    return pool_class(
        Sentinels(clients, primary),
        connection_class=type("Connection", (PrimaryConnection, FewTurnsConnection, kind), {}),
        max_connections=MAX_CONNECTIONS,
        timeout=POOL_WAIT_S,
        **login,
        **options,
    )


def _brief_options() -> dict[str, Any]:
    return {
        "socket_timeout": BRIEF_S,
        "socket_connect_timeout": BRIEF_S,
        "retry": _retry(1),
        "retry_on_error": RETRIED,
    }


def _login(url: str) -> dict[str, Any]:
    """Return what an address says but for the servers: user, password, database, options of TLS."""
    found = dict(cast("Mapping[str, Any]", parse_url(_without_extra_hosts(url))))
    servers = ("host", "port", "path", "connection_class")
    return {name: value for name, value in found.items() if name not in servers} | _tls_options(url)


def _split_logins(login: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for the Sentinels, and those for the primary; both are reached with the same options of TLS."""
    of_primary = {name: value for name, value in login.items() if not name.startswith(SENTINELS_OWN)}
    of_sentinels = {
        name.removeprefix(SENTINELS_OWN): value
        for name, value in login.items()
        if name.startswith(SENTINELS_OWN)
    } | {name: value for name, value in login.items() if name.startswith("ssl_")}
    return of_sentinels, of_primary


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

    With Sentinel arq ignores some of them, hence `sentinel_pool_for_arq`.
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

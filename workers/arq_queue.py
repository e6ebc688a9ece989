"""arq's connection to its queue, which survives a store that is unreachable or full.

The worker must not end then, because its pumps may have results that are not written yet.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import OutOfMemoryError

from bridge.config.settings import Settings
from bridge.store.cancellation import is_cancelled
from bridge.store.server.connect import RETRIED, arq_settings, sentinel_pool_for_arq
from bridge.store.server.redis_connection import PatientPool
from bridge.store.server.replication import LOOK_S, leave_former

T = TypeVar("T")
log = structlog.get_logger()

UNLIMITED_RETRIES = -1
FAREWELL_S = 2.0


class EndlessRetry(Retry):
    """A retry policy that repeats a command until the store is back, and logs each failure."""

    def __init__(self, address: str) -> None:
        """Take the server's address for the log."""
        self._address = address
        super().__init__(ExponentialBackoff(cap=2.0, base=0.1), UNLIMITED_RETRIES, tuple(RETRIED))  # type: ignore[arg-type]  # OSError too may be retried

    async def call_with_retry(self, do: Callable[[], Awaitable[T]], fail: Callable[[Any], Any]) -> T:
        """Run a command; log each failure."""

        async def log_failure(error: Exception) -> None:
            log.warning("worker.queue_unreachable", store=self._address, error=type(error).__name__)
            await fail(error)

        return await super().call_with_retry(do, log_failure)


class Queue(ArqRedis):
    """arq's queue; a job that a full store refuses is dropped, until it is due again."""

    async def enqueue_job(self, function: str, *args: Any, **kwargs: Any) -> Job | None:
        """Queue a job, unless the store is full."""
        try:
            return await super().enqueue_job(function, *args, **kwargs)
        except OutOfMemoryError:
            log.warning("worker.store_full", skipped=function)
            return None

    async def delete(self, *names: Any) -> Any:
        """Delete arq's own heartbeat, which a worker does as it stops, unless the store is away: it expires by itself."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                return await super().delete(*names)
        except TimeoutError:
            log.warning("worker.queue_left_unnoticed")
            return 0

    async def psetex(self, name: Any, time_ms: Any, value: Any) -> Any:
        """Write arq's own heartbeat, unless the store is full; nothing in the bridge reads it."""
        try:
            return await super().psetex(name, time_ms, value)
        except OutOfMemoryError:
            return None


def write_job(job: dict[str, Any]) -> bytes:
    """Return one of arq's jobs as JSON; arq's default, pickle, would execute code that is stored in Redis."""
    return json.dumps(job).encode()


def read_job(text: bytes) -> dict[str, Any]:
    """Return one of arq's jobs from JSON."""
    job: dict[str, Any] = json.loads(text)
    return job


def open_queue(settings: Settings) -> Queue:
    """Return arq's queue connection; behind Sentinels it follows the primary."""
    where = arq_settings(settings)
    pool = sentinel_pool_for_arq(settings, EndlessRetry(f"Sentinels {where.host}"))
    return Queue(pool or _open_pool(where), job_serializer=write_job, job_deserializer=read_job)


def _open_pool(where: RedisSettings) -> PatientPool:
    plain = Queue(
        host=str(where.host),
        port=where.port,
        unix_socket_path=where.unix_socket_path,
        db=where.database,
        username=where.username,
        password=where.password,
        encoding="utf8",
        socket_connect_timeout=where.conn_timeout,
        ssl=where.ssl,
        ssl_keyfile=where.ssl_keyfile,
        ssl_certfile=where.ssl_certfile,
        ssl_cert_reqs=where.ssl_cert_reqs,
        ssl_ca_certs=where.ssl_ca_certs,
        ssl_check_hostname=where.ssl_check_hostname,
        retry=EndlessRetry(where.unix_socket_path or f"{where.host}:{where.port}"),
        retry_on_error=RETRIED,
    ).connection_pool
    return PatientPool(plain.connection_class, **plain.connection_kwargs)


async def follow_primary(queue: ArqRedis) -> None:
    """Leave the servers that Sentinels do not call the primary any more, until cancelled."""
    while not is_cancelled():
        await leave_former(queue)
        await asyncio.sleep(LOOK_S)

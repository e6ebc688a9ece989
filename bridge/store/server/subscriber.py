"""Subscribe to channels of the store, whose messages are hints: each may get lost with its connection."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.exceptions import NoPermissionError

from bridge.store.cancellation import is_cancelled

LISTEN_S: Final = (
    20.0  # less than the health check interval of a connection, which is checked when nothing came
)
REFUSED_RETRY_S: Final = 300.0
log = structlog.get_logger()

Take = Callable[[str, str | None], None]


async def subscribe(redis: Redis, channels: Collection[str], take: Take) -> None:
    """Call `take` with channel and text of each message, until cancelled.

    The text is None when a subscription stands, also after the connection was made again: messages may have been lost
    before. Raise one of `STORE_ERRORS` when the connection cannot be made again. Return a while after a store that does
    not let its user subscribe has refused it.
    """
    async with _subscriber(redis).pubsub() as connection:
        await connection.subscribe(*channels)
        while not is_cancelled():
            try:
                message = await connection.get_message(timeout=LISTEN_S)
            except NoPermissionError:
                log.warning("queue.no_wake_ups", fix="allow the store's user its channels: ACL SETUSER … &*")
                await asyncio.sleep(REFUSED_RETRY_S)
                return
            if message is not None and message["channel"] is not None:
                text = message["data"].decode() if message["type"] == "message" else None
                take(message["channel"].decode(), text)


def _subscriber(redis: Redis) -> Redis:
    """Return a client that can subscribe: redis-py's Cluster client cannot, but any node passes all messages on."""
    if not isinstance(redis, RedisCluster):
        return redis
    node = redis.get_default_node()
    return Redis.from_pool(ConnectionPool(connection_class=node.connection_class, **node.connection_kwargs))

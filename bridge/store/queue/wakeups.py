"""Wake-ups: the store's messages that a queue must be looked at sooner than its workers know.

The scripts that schedule an item publish one when it comes before everything else in its queue, so that a busy queue
has none. A message may get lost with its connection; it holds nothing, and workers look at their queues without it too.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.exceptions import NoPermissionError

from bridge.store import keys
from bridge.store.cancellation import is_cancelled
from bridge.store.queue.lanes import Lanes

LISTEN_S: Final = (
    20.0  # less than the health check interval of a connection, which is checked when nothing came
)
REFUSED_RETRY_S: Final = 300.0
log = structlog.get_logger()


async def listen(queues: Sequence[Lanes]) -> None:
    """Set `woken` of one store's queues at their wake-ups, and whenever some may have been missed, until cancelled.

    Raise one of `STORE_ERRORS` when the connection cannot be made again. Return a while after a store that does not let
    its user subscribe has refused it.
    """
    woken = {keys.lanes(shard, each.queue).encode(): each.woken for each in queues for shard in each.shards}
    async with _subscriber(queues[0].redis).pubsub() as channels:
        await channels.subscribe(*woken)
        while not is_cancelled():
            try:
                # The confirmation of a subscription comes too, also after the connection was made again.
                message = await channels.get_message(timeout=LISTEN_S)
            except NoPermissionError:
                log.warning("queue.no_wake_ups", fix="allow the store's user its channels: ACL SETUSER … &*")
                await asyncio.sleep(REFUSED_RETRY_S)
                return
            if message is not None and message["channel"] in woken:
                woken[message["channel"]].set()


def _subscriber(redis: Redis) -> Redis:
    """Return a client that can subscribe: redis-py's Cluster client cannot, but any node passes all messages on."""
    if not isinstance(redis, RedisCluster):
        return redis
    node = redis.get_default_node()
    return Redis.from_pool(ConnectionPool(connection_class=node.connection_class, **node.connection_kwargs))

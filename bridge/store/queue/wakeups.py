"""Wake-ups: the store's messages that a queue must be looked at sooner than its workers know.

The scripts that schedule an item publish one when it comes before everything else in its queue, so that a busy queue
has none. A message may get lost with its connection; it holds nothing, and workers look at their queues without it too.
"""

from collections.abc import Sequence

from bridge.store import keys
from bridge.store.queue.lanes import Lanes
from bridge.store.server.subscriber import subscribe


async def listen(queues: Sequence[Lanes]) -> None:
    """Set `woken` of one store's queues at their wake-ups, and whenever some may have been missed, until cancelled.

    Raise one of `STORE_ERRORS` when the connection cannot be made again. Return a while after a store that does not let
    its user subscribe has refused it.
    """
    woken = {keys.lanes(shard, each.queue): each.woken for each in queues for shard in each.shards}
    await subscribe(queues[0].redis, woken, lambda channel, _: woken[channel].set())

"""Errors that the store raises."""

from redis.exceptions import (
    ClusterDownError,
    OutOfMemoryError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

# What a command raises while the store is down, restarting or unreachable: the same command may succeed later.
# RedisClusterException, no RedisError, comes while no node of a Cluster answers or a slot has none.
STORE_ERRORS = (RedisError, RedisClusterException, OSError, TimeoutError)


class StoreFull(Exception):
    """The store is at its memory limit and accepts no new work; work in progress goes on."""


# What shows that the store is full: our own error for new work, the server's for any other command.
FULL_ERRORS = (StoreFull, OutOfMemoryError)


def explain_outage(error: Exception) -> str:
    """Return what one of `STORE_ERRORS` means for who waits; it may be shown to clients."""
    if isinstance(error, ResponseError) and "NOREPLICAS" in str(error):
        return "the store takes no writes while it has too few replicas in reach (its min-replicas-to-write)"
    if isinstance(error, RedisClusterException | ClusterDownError):
        return "a part of the store is down"
    return "the store does not answer"


class StoreNotDurable(Exception):
    """The change is made, but was not confirmed to be on disk in time: a crash now could lose it."""


class WriteConflict(Exception):
    """Other writers changed the same records first in all tries: nothing was written."""


class LeaseLost(Exception):
    """The lease of the item had ended before the change arrived: nothing was written."""

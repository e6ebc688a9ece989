"""Errors that the store raises."""

from redis.exceptions import OutOfMemoryError, RedisError

# What a command raises while the store is down, restarting or unreachable: the same command may succeed later.
STORE_ERRORS = (RedisError, OSError, TimeoutError)


class StoreFull(Exception):
    """The store is at its memory limit and accepts no new work; work in progress goes on."""


# What shows that the store is full: our own error for new work, the server's for any other command.
FULL_ERRORS = (StoreFull, OutOfMemoryError)


class StoreNotDurable(Exception):
    """The change is made, but was not confirmed to be on disk in time: a crash now could lose it."""


class WriteConflict(Exception):
    """Other writers changed the same records first in all tries: nothing was written."""


class LeaseLost(Exception):
    """The lease of the item had ended before the change arrived: nothing was written."""

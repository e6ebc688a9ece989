"""What can go wrong with the store, as callers need to tell it apart."""

from redis.exceptions import RedisError

# What a command raises while the store is away, restarting or unreachable: worth another try.
STORE_ERRORS = (RedisError, OSError, TimeoutError)


class StoreFull(Exception):
    """The store is at its memory limit and takes no new work; what is under way goes on."""


class StoreNotDurable(Exception):
    """The change is made, but the disk did not confirm it in time: a crash now could lose it."""

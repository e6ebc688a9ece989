"""The same store as the tests of the worker."""

from tests.workers.conftest import redis, server

__all__ = ["redis", "server"]

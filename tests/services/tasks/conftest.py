"""The same store as the tests of the worker."""

from tests.services.endpoints.conftest import bench
from tests.workers.conftest import redis, server

__all__ = ["bench", "redis", "server"]

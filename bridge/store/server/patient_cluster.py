"""redis-py's client for Redis Cluster, which survives that all nodes are away at once."""

from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ClusterDownError


class PatientCluster(RedisCluster):
    """A client that never forgets the node it was told of.

    redis-py (5.3.1) removes each node that a command fails at from those that it asks for the topology; with commands
    under way at all of them, none is left, and it raises an error for ever.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take redis-py's options; the node is `host` and `port`."""
        super().__init__(*args, **options)
        self._first = [(node.host, node.port) for node in self.nodes_manager.startup_nodes.values()]

    async def initialize(self) -> "PatientCluster":
        """Ask for the nodes, unless they are known; raise one of `STORE_ERRORS` when none answers."""
        if self._initialize:
            known = self.nodes_manager.startup_nodes
            for host, port in self._first:
                node = ClusterNode(host, port, **self.connection_kwargs)
                known.setdefault(node.name, node)
        try:
            await super().initialize()
        except RuntimeError as error:  # another task has removed a node meanwhile
            raise ClusterDownError(str(error)) from None  # type: ignore[no-untyped-call]  # redis-py
        return self

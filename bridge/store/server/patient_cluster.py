"""redis-py's client for Redis Cluster, which survives that all nodes are away at once."""

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ClusterDownError

from bridge.store.errors import STORE_ERRORS
from bridge.store.server.redis_connection import FewTurnsConnection


class PatientCluster(RedisCluster):
    """A client that never forgets the node it was told of, and asks for the nodes once for all who wait for that.

    redis-py (5.3.1) removes each node that a command fails at from those that it asks; with commands under way at all
    of them, none is left, and it raises an error for ever. And while none answers, each command asks all of them by
    itself, after those that came before it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take redis-py's options; the node is `host` and `port`."""
        super().__init__(*args, **options)
        kind = type("Connection", (FewTurnsConnection, self.connection_kwargs["connection_class"]), {})
        self.connection_kwargs["connection_class"] = kind
        for node in self.nodes_manager.startup_nodes.values():
            node.connection_class = kind
        self._first = [(node.host, node.port) for node in self.nodes_manager.startup_nodes.values()]
        self._asking: asyncio.Task[None] | None = None

    async def initialize(self) -> "PatientCluster":
        """Ask for the nodes, unless they are known; raise one of `STORE_ERRORS` when none answers."""
        if self._initialize:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask_nodes())
            await asyncio.shield(self._asking)
        return self

    async def _ask_nodes(self) -> None:
        known = self.nodes_manager.startup_nodes
        for host, port in self._first:
            node = ClusterNode(host, port, **self.connection_kwargs)
            known.setdefault(node.name, node)
        try:
            await super().initialize()
        except RuntimeError as error:  # another task has removed a node meanwhile
            raise ClusterDownError(str(error)) from None  # type: ignore[no-untyped-call]  # redis-py

    def get_default_node(self) -> ClusterNode:
        """Return a node; raise `ClusterDownError` while none is known, because pipelines of redis-py rely on one."""
        node: ClusterNode | None = super().get_default_node()
        if node is None:
            raise ClusterDownError("no node is known")  # type: ignore[no-untyped-call]  # redis-py
        return node

    async def _determine_nodes(self, command: str, *args: Any, node_flag: str | None = None) -> list[Any]:
        """Return whom to send a command to; raise `ClusterDownError` where another command's failure has just removed them.

        Then redis-py asks for the nodes anew. By itself it would send a command without a key to None.
        """
        nodes = await super()._determine_nodes(command, *args, node_flag=node_flag)
        if None in nodes:
            raise ClusterDownError("the node is gone")  # type: ignore[no-untyped-call]  # redis-py
        return nodes

    async def aclose(self) -> None:
        """Close the connections, those too that are just being opened."""
        if self._asking is not None:
            with suppress(*STORE_ERRORS):
                await asyncio.shield(self._asking)
        await super().aclose()

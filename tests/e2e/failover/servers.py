"""Real servers, Clusters and Sentinels on free ports of loopback, from the binary that the embedded store uses."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from bridge.store.server.engines import find_engine

HOST = "127.0.0.1"
OPTIONS = {
    "bind": HOST,
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "hz": "100",
    "maxmemory-policy": "noeviction",
    "repl-diskless-sync-delay": "0",
}
START_S = 20.0
STARTS = 5  # another process may take a port between finding it and using it


def free_port() -> int:
    """Return a port that nobody uses now; below 32768 the system gives none to connections."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], *, within_s: float = START_S, what: str = "") -> Any:
    """Ask until an answer is truthy, and return it; an error of the server counts as no."""
    deadline = time.monotonic() + within_s
    while True:
        answer = None
        with contextlib.suppress(RedisError, OSError):
            answer = true()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or true}"
        time.sleep(0.02)


class Server:
    """One process of the server, which can be killed and started again on its data and port."""

    def __init__(
        self, folder: Path, options: Mapping[str, str], *, port: int | None = None, sentinel: bool = False
    ) -> None:
        """Take options with _ for -; `port` is where others find it, if that is not its own."""
        self.folder = folder
        folder.mkdir(parents=True)
        self._options = options
        self._sentinel = sentinel
        self._announced = port
        for _ in range(STARTS):
            self.own_port = free_port()
            self._write()
            if self.start():
                return
        raise AssertionError(f"no server started:\n{self.log()}")

    @property
    def port(self) -> int:
        return self._announced or self.own_port

    @property
    def name(self) -> str:
        return f"{HOST}:{self.port}"

    def _write(self) -> None:
        options = {} if self._sentinel else dict(OPTIONS)
        options |= {"port": str(self.own_port), "dir": str(self.folder)}
        options |= {name.replace("_", "-"): value for name, value in self._options.items()}
        if options.get("cluster-enabled") == "yes":
            options["cluster-port"] = str(free_port())
        lines = [f'{name} "{value}"' if value == "" else f"{name} {value}" for name, value in options.items()]
        (self.folder / "server.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> bool:
        """Start the process; return whether it answers."""
        mode = ["--sentinel"] if self._sentinel else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(find_engine().binary), str(self.folder / "server.conf"), *mode], stdout=log
            )
        deadline = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(RedisError), self.ask() as redis:
                redis.ping()
                return True
            time.sleep(0.01)
        return False

    def ask(self) -> Any:
        """Return a client with all rights, straight to the process."""
        return Redis(host=HOST, port=self.own_port, socket_timeout=5, username="default", password=None)

    def info(self, section: str = "everything") -> dict[str, Any]:
        with self.ask() as redis:
            return dict(redis.info(section))

    def calls(self, command: str) -> int:
        """Return how often a command was carried out since the last `reset`."""
        return int(self.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])

    def reset(self) -> None:
        with self.ask() as redis:
            redis.config_resetstat()

    def log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()


@dataclass
class Cluster:
    """Three primaries, and a replica of each if asked for."""

    primaries: list[Server]
    replicas: list[Server] = field(default_factory=list)

    @property
    def servers(self) -> list[Server]:
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        return f"redis://{self.primaries[0].name}"

    def wait_ok(self, *, within_s: float = START_S) -> None:
        """Wait until all living nodes find the cluster in order."""
        alive = [each for each in self.servers if each.process.poll() is None]
        for each in alive:
            wait_until(partial(is_ok, each), within_s=within_s, what=f"{each.name} is part of the cluster")

    def holder(self, key: str) -> Server:
        """Return the server whose slots, at the start, the key belongs to."""
        with self.primaries[0].ask() as redis:
            slot = int(redis.execute_command("CLUSTER KEYSLOT", key))
        return self.primaries[slot * len(self.primaries) // 16384]


def is_ok(server: Server) -> bool:
    with server.ask() as redis:
        return bool(redis.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


@contextlib.contextmanager
def killing(servers: list[Server]) -> Iterator[None]:
    try:
        yield
    finally:
        for each in servers:
            each.kill()


@contextlib.contextmanager
def running_cluster(folder: Path, *, replicas: bool = False, **options: str) -> Iterator[Cluster]:
    """Run a cluster of three primaries for a while."""
    servers: list[Server] = []
    with killing(servers):
        settings = {
            "cluster_enabled": "yes",
            "cluster_node_timeout": "1000",
            "repl_backlog_size": "16mb",
        } | options
        servers += [Server(folder / f"node{number}", settings) for number in range(6 if replicas else 3)]
        cluster = Cluster(servers[:3], servers[3:])
        for number, server in enumerate(cluster.primaries):
            first, last = slots_of(number)
            with server.ask() as redis:
                redis.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                redis.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        meet(servers)
        for server, primary in zip(cluster.replicas, cluster.primaries, strict=replicas):
            follow_primary(server, primary)
        cluster.wait_ok()
        for primary in cluster.primaries if replicas else ():
            wait_until(partial(has_replicas, primary, 1), what="the replica has synced")
        yield cluster


def has_replicas(primary: Server, number: int) -> bool:
    info = primary.info("replication")
    return all(info.get(f"slave{each}", {}).get("state") == "online" for each in range(number))


def has_met(server: Server, number: int) -> bool:
    with server.ask() as redis:
        return bool(redis.execute_command("CLUSTER INFO")["cluster_known_nodes"] == str(number))


def slots_of(number: int) -> tuple[int, int]:
    return -(-number * 16384 // 3), -(-(number + 1) * 16384 // 3) - 1


def meet(servers: Sequence[Server]) -> None:
    with servers[0].ask() as redis:
        for other in servers[1:]:
            bus = int(read_option(other, "cluster-port"))
            redis.execute_command("CLUSTER MEET", HOST, other.own_port, bus)
    for server in servers:
        wait_until(partial(has_met, server, len(servers)), what="all have met")


def read_option(server: Server, name: str) -> str:
    with server.ask() as redis:
        return str(redis.config_get(name)[name])


def follow_primary(server: Server, primary: Server) -> None:
    with primary.ask() as redis:
        identity = redis.execute_command("CLUSTER MYID")
    with server.ask() as redis:
        wait_until(lambda: redis.execute_command("CLUSTER REPLICATE", identity), what="the node is known")


@dataclass
class Watched:
    """A primary with two replicas, and three Sentinels that watch them."""

    primary: Server
    replicas: list[Server]
    sentinels: list[Server]

    @property
    def hosts(self) -> str:
        return ",".join(each.name for each in self.sentinels)

    def find_primary(self) -> int:
        """Return the port of the primary, as the first Sentinel names it."""
        with self.sentinels[0].ask() as redis:
            return int(redis.execute_command("SENTINEL", "get-master-addr-by-name", "main")[1])


@contextlib.contextmanager
def running_sentinels(
    folder: Path,
    options: Mapping[str, str] = MappingProxyType({}),
    sentinel_options: Mapping[str, str] = MappingProxyType({}),
    *,
    primary_port: int | None = None,
    replicas: int = 2,
    sentinels: int = 3,
    on_start: Callable[[Server], None] | None = None,
) -> Iterator[Watched]:
    """Run a primary, its replicas and Sentinels, who call it `main`; others find it at `primary_port`, if given.

    `options` are those of the servers, `sentinel_options` those of the Sentinels.
    """
    servers: list[Server] = []
    with killing(servers):
        primary = Server(folder / "primary", options, port=primary_port)
        servers.append(primary)
        if on_start is not None:
            on_start(primary)
        for number in range(replicas):
            following = {"replicaof": f"{HOST} {primary.port}", **options}
            servers.append(Server(folder / f"replica{number}", following))
        wait_until(partial(has_replicas, primary, replicas), what="the replicas have synced")
        lines = {
            "sentinel monitor": f"main {HOST} {primary.port} {sentinels // 2 + 1}",
            "sentinel down-after-milliseconds": "main 1000",
            "sentinel failover-timeout": "main 6000",
            "sentinel parallel-syncs": "main 2",
        } | dict(sentinel_options)
        watchers = []
        for number in range(sentinels):
            watchers.append(Server(folder / f"sentinel{number}", lines, sentinel=True))
            servers.append(watchers[-1])
        watched = Watched(primary, servers[1 : 1 + replicas], watchers)
        for watcher in watchers:
            wait_until(partial(knows_all, watcher, replicas, sentinels), what="the Sentinels know all")
        yield watched


def knows_all(watcher: Server, replicas: int, sentinels: int) -> bool:
    with watcher.ask() as redis:
        state = redis.sentinel_master("main")
    return (state["num-slaves"], state["num-other-sentinels"]) == (replicas, sentinels - 1)

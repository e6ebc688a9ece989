"""TLS, passwords and users, each as docs/scaling.md says: with one server, with Sentinel and with Cluster."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis.asyncio import Redis
from redis.exceptions import RedisClusterException, RedisError

from bridge.config.settings import Settings
from bridge.store import keys
from bridge.store.queue.wakeups import listen
from bridge.store.server.connect import connect, connect_to_node, sentinel_pool_for_arq
from bridge.store.server.fitness import check_store
from bridge.store.server.replication import Replication
from bridge.store.store import Store
from tests.e2e.failover.servers import HOST, Server, running_sentinels, wait_until
from tests.e2e.failover.test_sentinel import SENTINEL, USERS
from tests.e2e.failover.tls import TlsFront, tls_front
from tests.e2e.processes import until
from workers.arq_queue import EndlessRetry

pytestmark = pytest.mark.slow
# docs/scaling.md has these too.
ON_CLUSTER = "+cluster|slots +cluster|shards +cluster|nodes +asking +readonly"
LOGIN = "bridge:bridge-password"
WATCHER = "sentinel_username=watcher&sentinel_password=watcher-password"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Redis]:
    """Use a store through all that a start does, and through the scripts of a queue."""
    async with connect(Settings(_env_file=None, **settings)) as redis:
        await check_store(redis)
        store = await Store.open(redis, keys=[b"k" * 32], aof=True)
        await store.projects.ensure_default()
        assert await store.poll.peek() == []
        await redis.set(keys.touched("a"), "1")
        yield redis


def start(folder: Path, front: TlsFront | None = None, **options: str) -> Server:
    """Start a server, behind a front if there is one."""
    server = Server(folder, {"unixsocket": str(folder / "s"), **options}, port=front.port if front else None)
    if front is not None:
        front.plain_port, front.target = server.own_port, folder / "s"
    return server


def ways(server: Server) -> set[str]:
    """Return how the bridge's connections came to the server: over a unix socket means over TLS."""
    with server.ask() as redis:
        mine = [each for each in redis.client_list() if each["user"] == "bridge"]
    return {"tls" if "U" in each["flags"] else "plain" for each in mine}


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_a_server_behind_tls(
    servers: ExitStack, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    """With the CA named it is used; without, or with a certificate of another name, it is refused."""
    front = servers.enter_context(tls_front(authority))
    server = start(tmp_path / "v", front, **USERS)
    servers.callback(server.kill)
    url = f"rediss://{LOGIN}@{HOST}:{front.port}/0"
    async with opened(redis_url=f"{url}?ssl_ca_certs={ca_file}"):
        assert ways(server) == {"tls"}
    with pytest.raises(RedisError):
        async with opened(redis_url=url):
            pass
    other = servers.enter_context(tls_front(authority, "other.example"))
    other.target = front.target
    with pytest.raises(RedisError):
        async with opened(redis_url=f"rediss://{LOGIN}@{HOST}:{other.port}/0?ssl_ca_certs={ca_file}"):
            pass


async def test_sentinels_and_their_primary_behind_tls(
    servers: ExitStack, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    """Both are reached over TLS, each with its own user; arq's pool too."""
    front = servers.enter_context(tls_front(authority))

    def point(primary: Server) -> None:
        front.plain_port, front.target = primary.own_port, tmp_path / "p.sock"

    watched = servers.enter_context(
        running_sentinels(
            tmp_path / "s",
            {**USERS, "unixsocket": str(tmp_path / "p.sock")},
            SENTINEL,
            primary_port=front.port,
            replicas=0,
            sentinels=1,
            on_start=point,
        )
    )
    before = servers.enter_context(tls_front(authority))
    (sentinel,) = watched.sentinels
    before.target = sentinel.own_port  # and a plain connection gets no answer here
    url = f"rediss://{LOGIN}@{HOST}:{before.port}/0?ssl_ca_certs={ca_file}&{WATCHER}"
    named: dict[str, Any] = {"redis_url": url, "redis_sentinel": "main"}
    async with opened(**named):
        assert ways(watched.primary) == {"tls"}
        with sentinel.ask() as redis:
            assert "watcher" in {each["user"] for each in redis.client_list()}
    pool = sentinel_pool_for_arq(Settings(_env_file=None, **named), EndlessRetry("here"))
    assert pool is not None
    async with Redis.from_pool(pool) as queue:
        await queue.set("arq:x", "1")
        assert ways(watched.primary) == {"tls"}


async def test_a_cluster_behind_tls(
    servers: ExitStack, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    """Its nodes, its wake-ups and the questions about its replicas are reached over TLS, by the user of the docs."""
    front = servers.enter_context(tls_front(authority))
    options = {"cluster-enabled": "yes", "cluster-announce-port": str(front.port)}
    user = {"user bridge": f"{USERS['user bridge']} {ON_CLUSTER}"}
    server = start(tmp_path / "v", front, **options, **user)
    servers.callback(server.kill)
    with server.ask() as redis:
        redis.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: redis.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    settings: dict[str, Any] = {
        "redis_url": f"rediss://{LOGIN}@{HOST}:{front.port}?ssl_ca_certs={ca_file}",
        "redis_cluster": True,
        "arq_redis_url": "redis://127.0.0.1:1",
    }
    async with opened(**settings) as redis:
        lanes = (await Store.open(redis, keys=[b"k" * 32], aof=True)).poll
        listening = asyncio.create_task(listen((lanes,)))
        try:
            await until(lambda: _is_subscribed(server))
        finally:
            listening.cancel()
            await asyncio.wait([listening])
        replication = Replication(redis, partial(connect_to_node, Settings(_env_file=None, **settings)))
        await replication.look()
        assert replication.alone == {server.name}
        assert ways(server) == {"tls"}
    with pytest.raises((RedisError, RedisClusterException)):
        async with opened(**(settings | {"redis_url": f"rediss://{LOGIN}@{HOST}:{front.port}"})):
            pass


async def _is_subscribed(server: Server) -> bool:
    with server.ask() as redis:
        return any(int(each["sub"]) for each in redis.client_list())


async def test_a_wrong_password_is_no_outage_that_lasts(servers: ExitStack, tmp_path: Path) -> None:
    """A start with it ends with an error that does not show it."""
    server = start(tmp_path / "v", None, **USERS)
    servers.callback(server.kill)
    async with opened(redis_url=f"redis://{LOGIN}@{server.name}/0"):
        pass
    with pytest.raises(RedisError) as refused:
        async with opened(redis_url=f"redis://bridge:mistaken-word@{server.name}/0"):
            pass
    assert "mistaken-word" not in repr(refused.value)

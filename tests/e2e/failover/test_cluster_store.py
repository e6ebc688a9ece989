"""The store on a real Cluster of three nodes: waits for the right disk, redirections, nodes that are lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from bridge.cli.commands.store_checks import check_store_settings
from bridge.config.settings import Settings
from bridge.domain.ids import SHARD_LETTERS
from bridge.store import keys
from bridge.store.commit import Change, Committer, Put
from bridge.store.durable import DurableScripts
from bridge.store.errors import STORE_ERRORS, StoreNotDurable
from bridge.store.scripts import SCRIPTS, ScriptCall, run
from bridge.store.server.connect import connect, connect_to_node
from bridge.store.server.fitness import UnfitStoreError, check_store
from bridge.store.server.patient_cluster import PatientCluster
from bridge.store.server.replication import Replication
from tests.e2e.failover.servers import Cluster, Server, running_cluster
from tests.e2e.processes import until

pytestmark = pytest.mark.slow
SHARDS = SHARD_LETTERS[:16]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("c")) as running:
        yield running


def settings_of(cluster: Cluster) -> Settings:
    return Settings(
        redis_url=cluster.url, redis_cluster=True, arq_redis_url="redis://127.0.0.1:1", _env_file=None
    )


@pytest.fixture
async def redis(cluster: Cluster) -> AsyncIterator[Redis]:
    async with connect(settings_of(cluster)) as client:
        yield client


def change(shard: str, name: str) -> Change:
    return Change(shard, (), (Put(f"{{{shard}}}:j:{name}", b"job"),))


async def commit(redis: Redis, shard: str, name: str) -> str:
    return await Committer(redis, aof=True).commit(change(shard, name), new_work=True, durable=True)


async def test_a_wait_goes_to_the_node_that_took_the_write(cluster: Cluster, redis: Redis) -> None:
    """Each node waits for its own disk as often as it has taken durable changes, and no other does."""
    for each in cluster.primaries:
        each.reset()
    expected = dict.fromkeys((each.name for each in cluster.primaries), 0)
    for shard in SHARDS:
        assert await commit(redis, shard, "aimed") == "done"
        expected[cluster.holder(keys.touched(shard)).name] += 1
    waits = {each.name: each.calls("waitaof") for each in cluster.primaries}
    unknown = [each.name for each in cluster.primaries if each.calls("eval") > expected[each.name]]
    # A node that did not know the script yet was asked, and waited, twice.
    assert {name: count - (name in unknown) for name, count in waits.items()} == expected
    assert min(expected.values()) > 0


async def test_after_a_broken_connection_the_wait_is_aimed_again(cluster: Cluster, redis: Redis) -> None:
    """redis-py's own repetition would send it to the default node."""
    for shard in SHARDS:
        await commit(redis, shard, "warm")
    for each in cluster.primaries:
        each.reset()
        with each.ask() as node:
            node.client_kill_filter(_type="normal", skipme=True)
    expected = dict.fromkeys((each.name for each in cluster.primaries), 0)
    for shard in SHARDS:
        assert await commit(redis, shard, "again") == "done"
        expected[cluster.holder(keys.touched(shard)).name] += 1
    assert {each.name: each.calls("waitaof") for each in cluster.primaries} == expected


class Moving:
    """The slot of a shard, on its way from one node to another."""

    def __init__(self, cluster: Cluster, shard: str) -> None:
        self.source = cluster.holder(keys.touched(shard))
        self.target = next(each for each in cluster.primaries if each is not self.source)
        self._all = cluster.primaries
        with self.source.ask() as node:
            self.slot = int(node.execute_command("CLUSTER KEYSLOT", keys.touched(shard)))
        self._names = {each.name: self._identity(each) for each in (self.source, self.target)}

    def _identity(self, server: Server) -> str:
        with server.ask() as node:
            return str(node.execute_command("CLUSTER MYID").decode())

    def begin(self) -> None:
        with self.source.ask() as source, self.target.ask() as target:
            target.execute_command("CLUSTER SETSLOT", self.slot, "IMPORTING", self._names[self.source.name])
            source.execute_command("CLUSTER SETSLOT", self.slot, "MIGRATING", self._names[self.target.name])

    def move_keys(self) -> None:
        with self.source.ask() as source:
            found = source.execute_command("CLUSTER GETKEYSINSLOT", self.slot, 1000)
            if found:
                source.execute_command(
                    "MIGRATE", "127.0.0.1", self.target.own_port, "", 0, 5000, "KEYS", *found
                )

    def finish(self) -> None:
        for each in (self.target, self.source, *self._all):
            with each.ask() as node:
                node.execute_command("CLUSTER SETSLOT", self.slot, "NODE", self._names[self.target.name])

    def undo(self) -> None:
        """Bring the slot back, for the tests that follow."""
        self.source, self.target = self.target, self.source
        self.begin()
        self.move_keys()
        self.finish()


@pytest.fixture
def moving(cluster: Cluster) -> Iterator[Moving]:
    moving = Moving(cluster, "b")
    yield moving
    moving.undo()
    cluster.wait_ok()


async def test_a_change_follows_its_slot_and_so_does_its_wait(redis: Redis, moving: Moving) -> None:
    """While the slot moves new keys go to the node that it moves to (ASK), then all do (MOVED)."""
    await asyncio.gather(*(run(redis, poke(name)) for name in "abcdef"))  # several connections are free
    moving.begin()
    moving.target.reset()
    for number in range(20):
        assert await commit(redis, "b", f"asked{number}") == "done"
    assert moving.target.calls("waitaof") >= 20
    # Not one of them fails, whichever connections are free; and no key is left that stops the migration.
    assert await asyncio.gather(*(run(redis, poke(f"x{name}")) for name in range(20))) == [b"done"] * 20
    await asyncio.to_thread(moving.move_keys)
    await asyncio.to_thread(moving.finish)
    moving.target.reset()
    assert await commit(redis, "b", "moved") == "done"
    assert moving.target.calls("waitaof") >= 1
    assert moving.source.calls("waitaof") == 0 or moving.target.calls("evalsha") >= 1
    assert await redis.get("{b}:j:asked7") == b"job"


def poke(name: str) -> ScriptCall:
    return ScriptCall(SCRIPTS["touch_v1"], (f"{{b}}:j:{name}",), ())


class LosingCluster(PatientCluster):
    """A client whose nodes another command's failure removes once, just before a command is sent."""

    lost = False

    async def _determine_nodes(self, *args: Any, **options: Any) -> list[Any]:
        if not self.lost:
            self.lost = True
            await self.aclose()
        return await super()._determine_nodes(*args, **options)


async def test_a_question_without_a_key_is_asked_anew_when_its_node_is_gone(cluster: Cluster) -> None:
    """redis-py would call a method of None, which nobody takes for an outage."""
    client = cast("LosingCluster", LosingCluster.from_url(cluster.url))
    async with client:
        await client.initialize()
        assert await client.execute_command("CLUSTER SLOTS")
        assert client.lost


async def test_the_client_survives_that_all_nodes_were_away(cluster: Cluster, redis: Redis) -> None:
    """With commands under way at all of them; what was confirmed is there."""
    for shard in SHARDS:
        assert await commit(redis, shard, "kept") == "done"
    writing = [asyncio.create_task(_try_commit(redis, shard)) for shard in SHARDS * 3]
    for each in cluster.primaries:
        each.kill()
    await asyncio.gather(*writing)
    for each in cluster.primaries:
        assert await asyncio.to_thread(each.start)
    await asyncio.to_thread(cluster.wait_ok)

    async def committed() -> bool:
        return await _try_commit(redis, SHARDS[0])

    await until(committed, within_s=20)
    assert [await redis.get(f"{{{shard}}}:j:kept") for shard in SHARDS] == [b"job"] * len(SHARDS)


async def _try_commit(redis: Redis, shard: str) -> bool:
    """Commit, or fail as a store that is away makes it fail."""

    try:
        await commit(redis, shard, "try")
    except (*STORE_ERRORS, StoreNotDurable):
        return False
    return True


async def test_every_primary_is_judged(cluster: Cluster, redis: Redis) -> None:
    """The node that the address names is fit; another one evicts keys."""
    await check_store(redis)
    other = cluster.primaries[2]
    with other.ask() as node:
        node.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(UnfitStoreError, match="set `maxmemory-policy noeviction`"):
                await check_store(redis)
        finally:
            node.config_set("maxmemory-policy", "noeviction")
    await check_store(redis)


async def test_primaries_without_replicas_are_named(cluster: Cluster, redis: Redis) -> None:
    """Nothing waits for a replica there, and the start says what a failover may lose."""
    replication = Replication(redis, partial(connect_to_node, settings_of(cluster)))
    await replication.look()
    assert replication.alone == {each.name for each in cluster.primaries}
    assert replication.count(cluster.primaries[0].name) == 0
    findings = [each async for each in check_store_settings(settings_of(cluster))]
    warned = [each.text for each in findings if "a failover may lose" in each.text]
    assert len(warned) == 1
    assert all(each.name in warned[0] for each in cluster.primaries)


async def test_a_replica_without_a_file_does_not_count(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It would lose what it was sent; with one that writes a file each change waits for it."""
    with running_cluster(tmp_path_factory.mktemp("r"), replicas=True) as cluster:
        with cluster.replicas[0].ask() as node:
            node.config_set("appendonly", "no")
        settings = settings_of(cluster)
        async with connect(settings) as redis:
            replication = Replication(redis, partial(connect_to_node, settings))
            await replication.look()
            assert replication.alone == {cluster.primaries[0].name}
            assert "appendonly yes" in replication.explain()
            durable = DurableScripts(redis, replicas=replication.count)
            committer = Committer(redis, aof=True, durable=durable)
            for shard in SHARDS:
                assert await committer.commit(change(shard, "x"), new_work=True, durable=True) == "done"
            held = {each: cluster.holder(keys.touched(each)) for each in SHARDS}
            for primary, replica in zip(cluster.primaries[1:], cluster.replicas[1:], strict=True):
                # Killed at this moment, the primary would lose nothing that its replica lacks.
                primary.kill()
                with replica.ask() as node:
                    kept = {str(key.decode()) for key in node.execute_command("KEYS", "*:j:x")}
                assert kept == {f"{{{each}}}:j:x" for each in SHARDS if held[each] is primary}

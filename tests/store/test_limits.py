"""What a full store refuses and what it never does; and that durable means on disk. On a real server only."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from bridge.store import feed_keys, keys
from bridge.store.commit import Change, Committer, Due, Guard, Put, Rank
from bridge.store.durable import DurableScripts
from bridge.store.errors import STORE_ERRORS, StoreFull, StoreNotDurable, explain_outage
from bridge.store.queue.fair_lanes import FairLanes
from bridge.store.queue.heartbeats import WORKERS, Heartbeats
from bridge.store.queue.lanes import Lanes, Settled
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many
from bridge.store.store import Store, wall_clock_ms
from bridge.store.tables.account_health import Health
from bridge.store.tables.feed import Feed
from bridge.store.tables.idempotency import Idempotency
from bridge.store.tables.inbox import Inbox
from bridge.store.tables.outbox import KEPT_MS, Outbox, outbox_member
from bridge.store.vault import sealing_key

J = "{a}:j:1"


def new_job(number: int) -> Change:
    key = f"{{a}}:j:{number}"
    return Change("a", (Guard(key, None),), (Put(key, b"j"), Due("poll", "acc", str(number), 0, "sooner")))


@pytest.fixture
async def full(real: Redis) -> AsyncIterator[Redis]:
    """A server at its memory limit, with one job due and one record that its worker will write."""
    await Committer(real, aof=False).commit(new_job(1))
    await real.config_set("maxmemory", "1")
    yield real
    await real.config_set("maxmemory", "0")


async def test_a_full_store_refuses_new_work_whole(full: Redis) -> None:
    """Nothing of a refused registration is written, be it alone or one of many."""
    committer = Committer(full, aof=True)
    with pytest.raises(StoreFull):
        await committer.commit(new_job(2), new_work=True)
    with pytest.raises(StoreFull):
        await committer.commit_many([new_job(2), new_job(3)], new_work=True, durable=True)
    with pytest.raises(StoreFull):
        await Idempotency(full, clock_ms=wall_clock_ms).begin("prj_1", "key", b"f")
    assert sorted(await full.keys("*")) == [J.encode(), b"{a}:poll:lanes", b"{a}:poll:q:acc"]


async def test_a_full_store_goes_on_with_what_it_has(full: Redis) -> None:
    """Claiming, settling, observing, publishing and noting need memory too, and get it; so do inbox and workers."""
    await Inbox(full).add("prj_1", b"{}")
    await Heartbeats(full, WORKERS).beat("worker", 1)
    lanes = Lanes(full, "poll", "a")
    held = await lanes.claim("a", [("acc", 1)], most=9, page=9, lease_ms=60_000)
    assert [item.member for item in held.items] == ["1"]
    await Committer(full, aof=False).commit(Change("a", (), (Due("poll", "acc", "1", 0, "sooner"),)))
    assert await lanes.settle("a", [Settled("acc", "1", held.token, 5, ((J, b"observed" * 50),))]) == []
    observed = Change(
        "a",
        (Guard(J, b"observed" * 50),),
        (Put("{a}:e:1", b"e"), Rank(feed_keys.outbox("a"), outbox_member("evt_b", "prj_1"), 0)),
    )
    assert await Committer(full, aof=False).commit(observed) == "done"
    await lanes.block("a", "acc", for_ms=9)
    await lanes.unblock("a", "acc", due_all=True)
    feed = Feed(full)
    assert await feed.publish("prj_1", ["evt_a"]) == [1]
    assert await Outbox(full, feed, "a").drain(now_ms=KEPT_MS) == 1
    await feed.forget("prj_1", ["evt_a", "evt_b"])
    assert await feed.forgotten("prj_1") == 2
    assert await FairLanes(full, "a").forget_marks("a") == 0
    health = Health(full, lambda _account: "a")
    assert await health.note_refused("acc", 1) == "suspect"
    assert await health.note_vanished("acc", "job", 1, 1000) == 1


async def test_a_full_store_takes_the_signing_secret_that_a_delivery_needs(real: Redis) -> None:
    """A project whose first delivery falls due at the limit gets its secret; a rotation is new work."""
    store = await Store.open(real, keys=[b"k" * 32], aof=False)
    await real.config_set("maxmemory", "1")
    made = await store.projects.default_secret("prj_1")
    assert await store.projects.default_secret("prj_1") == made
    with pytest.raises(StoreFull):
        await store.projects.rotate("prj_1")


async def test_a_full_store_is_read_and_sealed_anew_under_a_new_master_key(real: Redis) -> None:
    """Polling reads credentials, delivering reads secrets: both go on, and after a sweep the old key can go."""
    former = await Store.open(real, keys=[b"k" * 32], aof=False)
    account = await former.accounts.create("prj_1", "reelmirror", "rm_1", "main")
    await former.accounts.create("prj_1", "reelmirror", "rm_2", "unread")
    secrets = await former.projects.default_secret("prj_1")
    await former.projects.default_secret("prj_unread")
    await real.config_set("maxmemory", "1")
    rotated = await Store.open(real, keys=[b"n" * 32, b"k" * 32], aof=False)
    assert await rotated.accounts.credential(account.id) == "rm_1"
    assert await rotated.projects.default_secret("prj_1") == secrets
    sealed = [*await rotated.accounts.reseal(), *await rotated.projects.reseal()]
    assert [sealing_key(value) for value in sealed] == [rotated.vault.key_ids[0]] * 4
    alone = await Store.open(real, keys=[b"n" * 32], aof=False)
    assert await alone.accounts.credential(account.id) == "rm_1"


async def test_a_full_store_replaces_credentials_and_takes_no_new_account(real: Redis) -> None:
    """Workers hear of the new credential; a start with another key, credential or address goes on."""
    store = await Store.open(real, keys=[b"k" * 32], aof=False)
    made = await store.accounts.create("prj_1", "reelmirror", "rm_1", "main")
    configured = await store.accounts.ensure("prj_1", "reelbot", "rb_1")
    await store.apikeys.ensure("brk_1", "prj_1", {"read"})
    await real.config_set("maxmemory", "1")
    assert (await store.accounts.replace_credential(made.id, "rm_2")).version == 2
    assert (await store.health.load(made.id)).version == 2
    assert await store.accounts.credential(made.id) == "rm_2"
    moved = await store.accounts.ensure("prj_1", "reelbot", "rb_2", base_url="https://other.example")
    assert (moved.id, moved.version) == (configured.id, 2)
    assert (await store.accounts.get(moved.id)) == moved
    await store.apikeys.ensure("brk_2", "prj_1", {"read"})
    assert (await store.apikeys.find("brk_1"), [key.hint for key in await store.apikeys.list("prj_1")]) == (
        None,
        ["rk_2"],
    )
    with pytest.raises(StoreFull):
        await store.accounts.create("prj_1", "reelmirror", "rm_3", "new")
    with pytest.raises(StoreFull):
        await store.accounts.ensure("prj_2", "reelmirror", "rm_4")
    with pytest.raises(StoreFull):
        await store.apikeys.create("prj_1", {"read"}, "new")


async def test_a_claim_of_several_shards_is_kept_when_full(real: Redis) -> None:
    """What another shard knows of an origin is only asked for again, and the claimed items are handed out."""
    lanes = FairLanes(real, "ab")
    lane = "prj_1 https://hooks.example 0123456789abcdef"
    ops = [Due("dlv", lane, f"dlv_a{number}", 0, "sooner") for number in range(2)]
    await Committer(real, aof=False).commit(Change("a", (), ops))
    proven = await lanes.claim("a", [(lane, 9)], most=1, page=1, lease_ms=60_000)
    (item,) = proven.items
    settled = [Settled(lane, item.member, proven.token, None, outcome="g")]
    await lanes.settle("a", settled)
    await real.delete(keys.proven("a"))
    await real.config_set("maxmemory", "1")
    held = await lanes.claim("a", [(lane, 9)], most=9, page=9, lease_ms=60_000)
    assert len(held.items) == 1


async def test_a_durable_commit_has_waited_for_the_disk(real: Redis) -> None:
    """The script is followed by a WAITAOF, and its answer is waited for."""
    assert await Committer(real, aof=True).commit(new_job(1), new_work=True, durable=True) == "done"
    stats = await real.info("commandstats")
    assert stats["cmdstat_waitaof"]["calls"] >= 1


async def test_a_store_without_a_file_is_not_asked_to_wait(real: Redis) -> None:
    """With `aof=False` a durable commit is a commit."""
    await real.config_resetstat()
    assert await Committer(real, aof=False).commit(new_job(1), durable=True) == "done"
    assert "cmdstat_waitaof" not in await real.info("commandstats")


async def test_what_the_disk_does_not_confirm_is_not_called_durable(real: Redis) -> None:
    """A server that cannot confirm (here: its file was switched off) makes the change and says so."""
    await real.config_set("appendonly", "no")
    try:
        with pytest.raises(StoreNotDurable):
            await Committer(real, aof=True).commit(new_job(1), durable=True)
        assert await real.get(J) == b"j"
        retried = await Committer(real, aof=False).commit(new_job(1))
        assert retried == "done"
    finally:
        await real.config_set("appendonly", "yes")


async def test_a_server_that_is_short_of_replicas_is_named_as_that(real: Redis) -> None:
    """Who waits is told of the server's own setting, not that it does not answer."""
    await real.config_set("min-replicas-to-write", "1")
    try:
        with pytest.raises(STORE_ERRORS) as refused:
            await Committer(real, aof=True).commit(new_job(1), new_work=True, durable=True)
    finally:
        await real.config_set("min-replicas-to-write", "0")
    assert "min-replicas-to-write" in explain_outage(refused.value)
    assert explain_outage(ConnectionError()) == "the store does not answer"


async def test_a_script_that_fails_for_another_reason_raises_its_own_error(real: Redis) -> None:
    """A wrong type under a key is neither "full" nor "not durable"."""
    await real.set("{p:x}:feed", b"no zset")
    call = ScriptCall(
        SCRIPTS["publish_v3"], ("{p:x}:feed", "{p:x}:pos", "{p:x}:marks"), ("c", "x", 0, "evt_a")
    )
    with pytest.raises(Exception, match="WRONGTYPE"):
        await run_many(real, [call])
    (answer,) = await DurableScripts(real).run_each([call], touched="{p:x}:t", new_work=True)
    assert "WRONGTYPE" in str(answer)


async def test_what_was_durable_outlives_kill_9(start_server: Callable[[], Any]) -> None:
    """Killed right after the answer, the server comes back with the jobs and their places in the queue."""
    server = start_server()
    async with server.client() as redis:
        committer = Committer(redis, aof=True)
        outcomes = await committer.commit_many([new_job(number) for number in range(50)], durable=True)
        server.stop()
    assert outcomes == ["done"] * 50
    async with start_server().client() as redis:
        held = await Lanes(redis, "poll", "a").claim("a", [("acc", 0)], most=99, page=99, lease_ms=1000)
        assert len(held.items) == 50
        assert await redis.exists(*(f"{{a}}:j:{number}" for number in range(50))) == 50

"""A change is made whole or not at all, and only while what it rests on is true."""

import pytest
from redis.asyncio import Redis

from bridge.store.commit import (
    Change,
    Committer,
    Delete,
    Drop,
    Due,
    Guard,
    Holding,
    Lease,
    Op,
    Put,
    Rank,
    Unrank,
)
from bridge.store.queue.lanes import Lanes, Settled, lease_end_ms

J, E, D = "{a}:j:1", "{a}:e:1", "{a}:d:1"


@pytest.fixture
def committer(redis: Redis) -> Committer:
    return Committer(redis, aof=False)


def change(*ops: Op, guards: tuple[Guard, ...] = (), lease: Lease | None = None) -> Change:
    return Change("a", guards, ops, lease)


async def test_every_operation_does_what_it_says(redis: Redis, committer: Committer) -> None:
    """Puts with and without a life, deletes, ranks and unranks, all in one change."""
    await redis.set(E, b"gone")
    await redis.zadd("{a}:p:x:urls", {b"\xff\x00old": 0})
    ops: list[Op] = [
        Put(J, b"\x00\xff"),
        Put(D, b"v", px=60_000),
        Delete(E),
        Rank("{a}:p:x:cbs", "cb_1", 1_795_000_000_001),
        Rank("{a}:p:x:urls", b"\xfe\x00new", 0),
        Unrank("{a}:p:x:urls", b"\xff\x00old"),
    ]
    assert await committer.commit(change(*ops)) == "done"
    assert await redis.mget(J, D, E) == [b"\x00\xff", b"v", None]
    assert await redis.pttl(J) == -1
    assert 0 < await redis.pttl(D) <= 60_000
    assert await redis.zrange("{a}:p:x:cbs", 0, -1, withscores=True) == [(b"cb_1", 1_795_000_000_001.0)]
    assert await redis.zrange("{a}:p:x:urls", 0, -1) == [b"\xfe\x00new"]


@pytest.mark.parametrize(
    ("stored", "guarded", "outcome"),
    [
        (b"1", b"1", "done"),  # as loaded
        (None, None, "done"),  # still absent
        (b"2", b"1", "conflict"),  # somebody changed it
        (None, b"1", "conflict"),  # somebody removed it
        (b"1", None, "conflict"),  # somebody made it
    ],
)
async def test_a_guard_lets_nothing_through_but_what_was_loaded(
    redis: Redis, committer: Committer, stored: bytes | None, guarded: bytes | None, outcome: str
) -> None:
    """A conflict writes nothing at all, also where another guard holds."""
    if stored is not None:
        await redis.set(J, stored)
    guards = (Guard(D, None), Guard(J, guarded))
    assert await committer.commit(change(Put(E, b"e"), Put(J, b"new"), guards=guards)) == outcome
    assert await redis.exists(E) == (outcome == "done")
    assert await redis.get(J) == (b"new" if outcome == "done" else stored)


async def test_a_change_that_is_sent_twice_is_done_once(redis: Redis, committer: Committer) -> None:
    """A command that was cut off and sent again meets its own traces: done, and nothing is made again."""
    await redis.set(D, b"old")
    first = change(
        Put(J, b"new"), Delete(D), Rank("{a}:outbox", "evt", 1), guards=(Guard(J, None), Guard(D, b"old"))
    )
    assert await committer.commit(first) == "done"
    await redis.delete("{a}:outbox")
    assert await committer.commit(first) == "done"
    assert await redis.exists("{a}:outbox") == 0
    other = change(Put(J, b"other"), guards=(Guard(J, None),))
    assert await committer.commit(other) == "conflict"
    half = change(Put(J, b"new"), Put(E, b"e"), guards=(Guard(J, None), Guard(E, None)))
    assert await committer.commit(half) == "conflict"


async def test_only_the_holder_of_the_lease_gets_through(redis: Redis, committer: Committer) -> None:
    """A fenced worker writes nothing; the holder ends its own lease with the change."""
    lanes = Lanes(redis, "poll", "a")
    await committer.commit(change(Due("poll", "acc", "1", 0, "set")))
    held = await lanes.claim("a", [("acc", 0)], most=1, page=1, lease_ms=60_000)
    ops = (Put(J, b"seen"), Due("poll", "acc", "1", 9000, "set"))
    stranger = Lease("poll", "acc", "1", held.token + b"1")
    assert await committer.commit(change(*ops, lease=stranger)) == "fenced"
    assert await redis.exists(J) == 0
    assert await committer.commit(change(*ops, lease=Lease("poll", "acc", "1", held.token))) == "done"
    assert (await lanes.due_of("a", "acc", "1") or 0) >= held.now_ms + 9000
    assert await committer.commit(change(*ops, lease=Lease("poll", "acc", "1", held.token))) == "fenced"


async def test_a_guard_matters_under_a_lease_too(redis: Redis, committer: Committer) -> None:
    """The holder's decision rested on a record that changed: conflict, the lease is still held."""
    lanes = Lanes(redis, "dlv", "a")
    await committer.commit(change(Due("dlv", "x", "1", 0, "set"), Put(J, b"2")))
    held = await lanes.claim("a", [("x", 0)], most=1, page=1, lease_ms=60_000)
    lease = Lease("dlv", "x", "1", held.token)
    drop = change(Drop("dlv", "x", "1"), guards=(Guard(J, b"1"),), lease=lease)
    assert await committer.commit(drop) == "conflict"
    assert (await lanes.due_of("a", "x", "1") or 0) < 0


async def test_a_change_says_whether_an_item_is_leased(redis: Redis, committer: Committer) -> None:
    """A claim or a settlement in between, which touches no record, is a conflict; the change itself is not."""
    lanes = Lanes(redis, "dlv", "a")
    await committer.commit(change(Due("dlv", "x", "1", 0, "set")))

    async def drop(until_ms: int) -> str:
        held = (Holding("dlv", "x", "1", until_ms),)
        ops = (Put(J, b"dropped"), Drop("dlv", "x", "1"))
        guards = (Guard(J, None),)
        return await committer.commit(Change(shard="a", guards=guards, ops=ops, held=held))

    claim = await lanes.claim("a", [("x", 0)], most=1, page=1, lease_ms=60_000)
    until_ms = -(await lanes.due_of("a", "x", "1") or 0)
    assert until_ms == lease_end_ms(claim.token)
    assert (await drop(0), await drop(until_ms - 1)) == ("conflict", "conflict")
    assert await lanes.settle("a", [Settled("x", "1", claim.token, 0)]) == []
    assert await drop(until_ms) == "conflict"
    assert (await drop(0), await drop(0)) == ("done", "done")  # the second one met its own traces
    assert await lanes.due_of("a", "x", "1") is None


async def test_how_an_item_becomes_due(redis: Redis, committer: Committer) -> None:
    """ "absent" changes nothing that is queued, "sooner" only hastens, "set" decides."""
    lanes = Lanes(redis, "poll", "a")

    async def due(delay_ms: int, how: str) -> int:
        made = Due("poll", "acc", "1", delay_ms, how)  # type: ignore[arg-type]  # one of the three words
        assert await committer.commit(change(made)) == "done"
        return await lanes.due_of("a", "acc", "1") or 0

    first = await due(50_000, "absent")
    assert await due(10_000, "absent") == first
    assert await due(90_000, "sooner") == first
    hastened = await due(20_000, "sooner")
    assert hastened < first
    assert await due(90_000, "set") > first
    assert (await lanes.peek())[0][2] == hastened  # a wake-up only ever moves earlier here


async def test_a_wake_up_is_never_before_the_lanes_gate(redis: Redis, committer: Committer) -> None:
    """New work for a lane that sleeps does not wake it."""
    lanes = Lanes(redis, "poll", "a")
    until = await lanes.block("a", "acc", for_ms=40_000)
    await committer.commit(change(Due("poll", "acc", "1", 0, "sooner")))
    assert await lanes.peek() == [("a", "acc", until)]


async def test_a_dropped_item_is_gone_with_its_nudge(redis: Redis, committer: Committer) -> None:
    """Whoever holds it is fenced, and the lane's next item has its slot."""
    lanes = Lanes(redis, "dlv", "a")
    await committer.commit(change(Due("dlv", "x", "1", 0, "set"), Due("dlv", "x", "2", 0, "set")))
    held = await lanes.claim("a", [("x", 1)], most=5, page=5, lease_ms=60_000)
    first = held.items[0].member
    await committer.commit(change(Due("dlv", "x", first, 0, "sooner")))
    assert await redis.exists("{a}:dlv:nudge") == 1
    await committer.commit(change(Drop("dlv", "x", first)))
    assert await redis.exists("{a}:dlv:nudge") == 0
    assert (await lanes.peek())[0][2] < held.now_ms + 60_000
    again = await lanes.claim("a", [("x", 1)], most=5, page=5, lease_ms=60_000)
    assert {item.member for item in again.items} == {"1", "2"} - {first}


async def test_many_changes_go_in_one_round_trip_each_for_itself(committer: Committer) -> None:
    """One's conflict is not another's."""
    changes = [
        change(Put(f"{{a}}:j:{number}", b"v"), guards=(Guard(f"{{a}}:j:{number % 2}", None),))
        for number in (0, 2, 1)
    ]
    assert await committer.commit_many(changes) == ["done", "conflict", "done"]
    assert await committer.commit_many([]) == []


async def test_a_server_that_lost_its_scripts_is_sent_them_again(redis: Redis, committer: Committer) -> None:
    """After a restart or SCRIPT FLUSH single and pipelined changes go on."""
    assert await committer.commit(change(Put(J, b"1"))) == "done"
    await redis.script_flush()
    assert await committer.commit_many([change(Put(J, b"2")), change(Put(E, b"2"))]) == ["done", "done"]
    await redis.script_flush()
    assert await committer.commit(change(Put(J, b"3"))) == "done"
    assert await redis.mget(J, E) == [b"3", b"2"]

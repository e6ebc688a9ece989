"""Lanes: which items a claim takes, for how long, and when a lane is visited again."""

import pytest
from redis.asyncio import Redis

from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.lanes import Claim, Lanes, Settled

LEASE_MS = 60_000


@pytest.fixture
def lanes(redis: Redis) -> Lanes:
    return Lanes(redis, "poll", "ab")


async def add(lanes: Lanes, lane: str, *members: str, delay_ms: int = 0, shard: str = "a") -> None:
    ops = [Due("poll", lane, member, delay_ms, "sooner") for member in members]
    assert await Committer(lanes.redis, aof=False).commit(Change(shard, (), ops)) == "done"


async def claim(lanes: Lanes, *names: str, cap: int = 0, most: int = 100, page: int = 100) -> Claim:
    return await lanes.claim("a", [(name, cap) for name in names], most=most, page=page, lease_ms=LEASE_MS)


def members(claim: Claim) -> list[str]:
    return [item.member for item in claim.items]


async def wake_of(lanes: Lanes, name: str) -> int | None:
    return next((wake for _, lane, wake in await lanes.peek() if lane == name), None)


async def next_millisecond(lanes: Lanes) -> None:
    now = (await claim(lanes)).now_ms
    while (await claim(lanes)).now_ms == now:
        continue


async def test_peek_tells_the_lanes_of_all_shards_earliest_first(lanes: Lanes) -> None:
    """Lanes come with their shard and wake-up, sorted over shards."""
    await add(lanes, "late", "1", delay_ms=9000)
    await add(lanes, "soon", "2", delay_ms=1000, shard="b")
    await add(lanes, "now", "3")
    seen = await lanes.peek()
    assert [(shard, lane) for shard, lane, _ in seen] == [("a", "now"), ("b", "soon"), ("a", "late")]
    assert [wake for *_, wake in seen] == sorted(wake for *_, wake in seen)
    assert len(await lanes.peek(limit=1)) == 2  # of each shard


async def test_a_claimed_item_is_nobody_elses_until_its_lease_ends(lanes: Lanes) -> None:
    """The second claim finds nothing, and the lane sleeps until the lease's end."""
    await add(lanes, "x", "1")
    first = await claim(lanes, "x")
    assert members(first) == ["1"]
    assert members(await claim(lanes, "x")) == []
    assert await lanes.due_of("a", "x", "1") == -(first.now_ms + LEASE_MS)
    assert await wake_of(lanes, "x") == first.now_ms + LEASE_MS


async def test_no_two_claims_have_one_token(lanes: Lanes) -> None:
    """Not even claims within a millisecond, whose leases end together."""
    tokens = [(await claim(lanes)).token for _ in range(200)]
    assert len(set(tokens)) == 200


async def test_an_ended_lease_brings_the_item_back_and_fences_its_holder(lanes: Lanes) -> None:
    """What a dead worker held is claimed again; its late settle writes nothing, the new holder's does."""
    await add(lanes, "x", "1")
    await lanes.redis.set("{a}:l:1", b"old")
    dead = await lanes.claim("a", [("x", 0)], most=1, page=1, lease_ms=1)
    alive = await claim(lanes, "x")
    while not alive.items:
        alive = await claim(lanes, "x")
    assert alive.items[0].due_ms < 0
    late = Settled("x", "1", dead.token, 5, (("{a}:l:1", b"late"),))
    assert await lanes.settle("a", [late]) == ["1"]
    assert await lanes.redis.get("{a}:l:1") == b"old"
    assert await lanes.settle("a", [Settled("x", "1", alive.token, None, (("{a}:l:1", b"new"),))]) == []
    assert await lanes.redis.get("{a}:l:1") == b"new"
    assert await lanes.size("a", "x") == 0


async def test_each_item_has_its_own_records_also_beside_a_fenced_one(lanes: Lanes) -> None:
    names = {f"{{a}}:{kind}:{member}": b"old" for kind in "lo" for member in "123"}
    await lanes.redis.mset(names)
    await add(lanes, "x", "1", "2", "3")
    held = await claim(lanes, "x")
    records = {"1": "lo", "2": "lo", "3": "o"}
    done = [
        Settled(
            "x",
            member,
            b"-5.001" if member == "2" else held.token,
            0,
            tuple((f"{{a}}:{kind}:{member}", f"new {kind}{member}".encode()) for kind in kinds),
        )
        for member, kinds in records.items()
    ]
    assert await lanes.settle("a", done) == ["2"]
    values = await lanes.redis.mget([*names])
    expected = [b"new l1", b"old", b"old", b"new o1", b"old", b"new o3"]
    assert values == expected


async def test_a_settled_item_comes_back_after_its_delay(lanes: Lanes) -> None:
    """Its lane wakes for it; a record that was removed meanwhile is not brought back to life."""
    await add(lanes, "x", "1")
    held = await claim(lanes, "x")
    assert await lanes.settle("a", [Settled("x", "1", held.token, 4000, (("{a}:l:1", b"v"),))]) == []
    due = await lanes.due_of("a", "x", "1")
    assert due is not None
    assert due >= held.now_ms + 4000
    assert await wake_of(lanes, "x") == due
    assert await lanes.redis.exists("{a}:l:1") == 0


async def test_a_cap_counts_every_live_lease_and_a_settle_makes_room(lanes: Lanes) -> None:
    """A full lane sleeps until a lease ends, and wakes as soon as one is settled."""
    await add(lanes, "x", "1", "2", "3")
    held = await claim(lanes, "x", cap=2)
    assert len(held.items) == 2
    assert members(await claim(lanes, "x", cap=2)) == []
    assert await wake_of(lanes, "x") == held.now_ms + LEASE_MS
    await lanes.settle("a", [Settled("x", held.items[0].member, held.token, None)])
    wake = await wake_of(lanes, "x")
    assert wake is not None
    assert wake < held.now_ms + LEASE_MS
    assert members(await claim(lanes, "x", cap=2)) == ["3"]


async def test_overdue_lanes_take_turns(lanes: Lanes) -> None:
    """A lane with a backlog goes behind the other overdue lanes after each page."""
    await add(lanes, "big", *(f"b{number:03}" for number in range(50)))
    for number in range(5):
        await add(lanes, f"small{number}", f"s{number}")
    served: list[str] = []
    await next_millisecond(lanes)
    for _ in range(6):
        _, first, _ = (await lanes.peek())[0]
        got = await claim(lanes, first, page=2)
        served.append(first)
        assert len(got.items) == (2 if first == "big" else 1)
        await next_millisecond(lanes)
    assert sorted(set(served)) == sorted(["big", *(f"small{number}" for number in range(5))])


async def test_one_claim_is_shared_by_page_and_most(lanes: Lanes) -> None:
    """No lane gives more than a page, all together no more than `most`; who got nothing stays first."""
    for name in ("x", "y", "z"):
        await add(lanes, name, *(f"{name}{number}" for number in range(3)))
    wake = await wake_of(lanes, "z")
    assert members(await claim(lanes, "x", "y", "z", page=2, most=3)) == ["x0", "x1", "y0"]
    assert await wake_of(lanes, "z") == wake


async def test_a_blocked_lane_sleeps_with_what_is_added_and_settled_meanwhile(lanes: Lanes) -> None:
    """Its wake-up is its gate, whatever happens in it; a shorter block changes nothing."""
    await add(lanes, "x", "1", "2")
    held = await claim(lanes, "x", most=1)
    until = await lanes.block("a", "x", for_ms=30_000)
    assert await lanes.block("a", "x", for_ms=10) == until
    await add(lanes, "x", "3")
    await lanes.settle("a", [Settled("x", "1", held.token, 0)])
    assert await wake_of(lanes, "x") == until
    assert members(await claim(lanes, "x")) == []
    assert await wake_of(lanes, "x") == until
    assert await lanes.blocked("a", ["x", "y"]) == {"x": until}


async def test_an_unblocked_lane_goes_on_and_with_due_all_at_once(lanes: Lanes) -> None:
    """Without `due_all` items keep their time; with it those that wait come now, those in flight are left alone."""
    await add(lanes, "x", "held")
    held = await claim(lanes, "x")
    await add(lanes, "x", *(f"m{number}" for number in range(2500)), delay_ms=50_000)
    await lanes.block("a", "x", for_ms=90_000)
    assert await lanes.unblock("a", "x", due_all=False) == 0
    assert await wake_of(lanes, "x") == await lanes.due_of("a", "x", "m0")
    await lanes.block("a", "x", for_ms=90_000)
    assert await lanes.unblock("a", "x", due_all=True) == 2500
    got = await claim(lanes, "x", most=5, page=5)
    assert len(got.items) == 5
    assert "held" not in members(got)
    assert await lanes.settle("a", [Settled("x", "held", held.token, None)]) == []


async def test_a_gate_is_forgotten_when_its_time_has_passed(lanes: Lanes) -> None:
    """By the claim that finds it, or by the sweep where the lane has emptied; a gate in force stays."""
    await lanes.block("a", "empty", for_ms=1)
    await lanes.block("a", "later", for_ms=60_000)
    while not await lanes.sweep_gates("a"):
        continue
    assert set(await lanes.blocked("a", ["empty", "later"])) == {"later"}
    await lanes.block("a", "x", for_ms=1)
    await add(lanes, "x", "1")
    while not (await claim(lanes, "x")).items:
        continue
    assert await lanes.blocked("a", ["x"]) == {}


async def test_a_nudge_wins_over_a_later_settle_and_over_leaving(lanes: Lanes) -> None:
    """What was wanted sooner while in flight comes then, once; a nudge that is later than the settle is nothing."""
    await add(lanes, "x", "1", "2", "3")
    held = await claim(lanes, "x")
    await add(lanes, "x", "1", "2", "3", delay_ms=5000)
    wanted = int(await lanes.redis.hget("{a}:poll:nudge", "1") or 0)  # type: ignore[misc]  # redis-py types both clients at once
    settled = [Settled("x", "1", held.token, 60_000), Settled("x", "2", held.token, None)]
    assert await lanes.settle("a", [*settled, Settled("x", "3", held.token, 0)]) == []
    assert [await lanes.due_of("a", "x", member) for member in "12"] == [wanted, wanted]
    assert (await lanes.due_of("a", "x", "3") or 0) < wanted
    assert await lanes.redis.exists("{a}:poll:nudge") == 0
    assert members(await claim(lanes, "x")) == ["3"]


async def test_a_page_is_settled_in_steps_and_over_lanes(lanes: Lanes) -> None:
    """More items than one script takes are settled all the same, each in its lane."""
    for name in ("x", "y"):
        for start in range(0, 1100, 550):
            await add(lanes, name, *(f"{name}{number}" for number in range(start, start + 550)))
    token = {}
    for name in ("x", "y"):
        got = await claim(lanes, name, most=2000, page=2000)
        assert len(got.items) == 1100
        token[name] = got
    done = [Settled(name, item.member, got.token, None) for name, got in token.items() for item in got.items]
    assert await lanes.settle("a", done) == []
    assert await lanes.settle("a", done[:1]) == [done[0].member]
    assert [await lanes.size("a", name) for name in ("x", "y")] == [0, 0]


async def test_an_emptied_lane_leaves_nothing_behind(lanes: Lanes) -> None:
    """After the visit that finds it empty no key of it is left but the counter of claims."""
    await add(lanes, "x", "1")
    held = await claim(lanes, "x", cap=1)
    await lanes.settle("a", [Settled("x", "1", held.token, None)])
    assert members(await claim(lanes, "x", cap=1)) == []
    assert await lanes.redis.keys("*") == [b"{a}:poll:seq"]

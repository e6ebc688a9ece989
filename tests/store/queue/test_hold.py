"""Holding: a worker claims jobs by name, because an answer that it has shows them too."""

import pytest
from redis.asyncio import Redis

from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.lanes import Claim, HoldClaim, Lanes, Settled

LEASE_MS = 60_000
FAR_MS = 600_000


@pytest.fixture
def lanes(redis: Redis) -> Lanes:
    return Lanes(redis, "poll", "a")


async def add(lanes: Lanes, *members: str, delay_ms: int = FAR_MS) -> None:
    ops = [Due("poll", "x", member, delay_ms, "sooner") for member in members]
    assert await Committer(lanes.redis, aof=False).commit(Change("a", (), ops)) == "done"


async def hold(lanes: Lanes, *members: str, lease_ms: int = LEASE_MS) -> HoldClaim:
    return await lanes.hold("a", "x", members, lease_ms=lease_ms)


async def claim(lanes: Lanes, *, lease_ms: int = LEASE_MS) -> Claim:
    return await lanes.claim("a", [("x", 0)], most=100, page=100, lease_ms=lease_ms)


def members(claim: Claim) -> list[str]:
    return [item.member for item in claim.items]


async def due_of(lanes: Lanes, member: str) -> int:
    due_ms = await lanes.due_of("a", "x", member)
    assert due_ms is not None
    return due_ms


async def passes(lanes: Lanes, at_ms: int) -> None:
    """Wait for Redis's clock."""
    while (await hold(lanes)).now_ms <= at_ms:
        continue


async def test_what_waits_is_held_due_or_not(lanes: Lanes) -> None:
    """With when it would have been due, in the order asked for; what is not there is left out."""
    await add(lanes, "far")
    await add(lanes, "due", delay_ms=0)
    far_ms, due_ms = await due_of(lanes, "far"), await due_of(lanes, "due")
    held = await hold(lanes, "far", "none", "due", "far")
    assert [(item.lane, item.member, item.due_ms) for item in held.items] == [
        ("x", "far", far_ms),
        ("x", "due", due_ms),
    ]
    for member in ("far", "due"):
        assert held.now_ms < -await due_of(lanes, member) <= held.now_ms + LEASE_MS + 1
    assert await lanes.size("a", "x") == 2


async def test_what_is_held_is_nobody_elses(lanes: Lanes) -> None:
    """Neither a claim nor another hold gets it; what is in flight cannot be held."""
    await add(lanes, "1", "2", delay_ms=0)
    claimed = await lanes.claim("a", [("x", 0)], most=1, page=1, lease_ms=LEASE_MS)
    (other,) = {"1", "2"} - set(members(claimed))
    held = await hold(lanes, "1", "2")
    assert members(held) == [other]
    assert held.token != claimed.token
    assert members(await hold(lanes, "1", "2")) == []
    assert members(await claim(lanes)) == []


async def test_what_is_not_there_is_told_from_what_is_in_flight(lanes: Lanes) -> None:
    """So that only what nobody waits for counts as unwanted; the size counts both what waits and what is in flight."""
    assert (await hold(lanes, "1")).size == 0
    await add(lanes, "1", "2")
    await hold(lanes, "1")
    held = await hold(lanes, "1", "none", "2")
    assert (members(held), held.absent, held.size) == (["2"], frozenset(["none"]), 2)


async def test_an_ended_lease_comes_back_by_a_claim_only(lanes: Lanes) -> None:
    """Its former holder may still work on it, so a hold leaves it to a claim."""
    await add(lanes, "1", delay_ms=0)
    first = await claim(lanes, lease_ms=1)
    ended_ms = -await due_of(lanes, "1")
    await passes(lanes, ended_ms + 1)
    assert members(await hold(lanes, "1")) == []
    again = await claim(lanes)
    assert members(again) == ["1"]
    assert again.items[0].due_ms < 0
    assert await lanes.settle("a", [Settled("x", "1", first.token, 0)]) == ["1"]


async def test_a_dead_holders_jobs_come_back(lanes: Lanes) -> None:
    """They come back when the lease ends, long before they would have been due."""
    await add(lanes, "1")
    await add(lanes, "due", delay_ms=0)
    await hold(lanes, "1", lease_ms=1)
    await passes(lanes, -await due_of(lanes, "1") + 1)
    assert set(members(await claim(lanes))) == {"1", "due"}


async def test_what_is_put_back_wakes_its_lane_in_time(lanes: Lanes) -> None:
    """At its new place in the queue; the token counts for as long as nobody else holds it."""
    await add(lanes, "1")
    held = await hold(lanes, "1")
    assert await lanes.settle("a", [Settled("x", "1", held.token, 5_000)]) == []
    due_ms = await due_of(lanes, "1")
    assert held.now_ms + 5_000 <= due_ms < held.now_ms + FAR_MS
    ((_, _, wake_ms),) = await lanes.peek()
    assert wake_ms <= due_ms
    assert await lanes.settle("a", [Settled("x", "1", held.token, 0)]) == ["1"]


async def test_a_wish_to_read_sooner_outlives_the_hold(lanes: Lanes) -> None:
    """A nudge that came during the hold is obeyed when the hold ends."""
    await add(lanes, "1")
    held = await hold(lanes, "1")
    await add(lanes, "1", delay_ms=0)
    await lanes.settle("a", [Settled("x", "1", held.token, FAR_MS)])
    assert members(await claim(lanes)) == ["1"]


async def test_holding_nothing_gives_nothing(lanes: Lanes) -> None:
    """An unknown lane too."""
    assert (await hold(lanes)).items == ()
    assert (await lanes.hold("a", "none", ["1"], lease_ms=LEASE_MS)).items == ()

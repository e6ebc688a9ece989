"""A host that never answered 2xx gets no more from many shards than from one."""

import asyncio

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from bridge.domain.deliveries.origin_limits import DEFAULT_LIMITS
from bridge.domain.deliveries.outcome import ANSWERED, REFUSED, TIMED_OUT
from bridge.store import keys
from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.fair_lanes import REFUSED_PERMIT_MS, FairLanes
from bridge.store.queue.lanes import Claim, Settled

SHARDS = "abcdefgh"
ORIGIN = "https://a.example:443"
LIMITS = replace(DEFAULT_LIMITS, stranger=replace(DEFAULT_LIMITS.stranger, burst=8, interval_ms=60_000))


@pytest.fixture
def lanes(redis: Redis) -> FairLanes:
    return FairLanes(redis, SHARDS, limits=LIMITS)


async def claim_all(lanes: FairLanes, *, lease_ms: int = 60_000) -> dict[str, Claim]:
    """Visit five lanes of the one host in each shard; return the claims."""
    claims = {}
    for shard in SHARDS:
        names = [f"prj_x {ORIGIN} {number}" for number in range(5)]
        ops = [Due("dlv", name, f"dlv_{shard}{name}", 0, "set") for name in names]
        assert await Committer(lanes.redis, aof=False).commit(Change(shard, (), ops)) == "done"
        claims[shard] = await lanes.claim(
            shard, [(name, 9) for name in names], most=9, page=9, lease_ms=lease_ms
        )
    return claims


async def settle_all(lanes: FairLanes, claims: dict[str, Claim], outcome: str) -> None:
    for shard, claim in claims.items():
        ended = [Settled(each.lane, each.member, claim.token, None, outcome=outcome) for each in claim.items]
        assert await lanes.settle(shard, ended) == []


def count(claims: dict[str, Claim]) -> int:
    return sum(len(claim.items) for claim in claims.values())


async def test_all_shards_together_get_six_at_once(lanes: FairLanes) -> None:
    """What is claimed beyond them is due again soon; ended attempts make room as far as the pace allows."""
    first = await claim_all(lanes)
    assert count(first) == 6
    late = f"prj_x {ORIGIN} 0"
    due_ms = await lanes.due_of("h", late, f"dlv_h{late}")
    assert due_ms is not None
    assert 0 < due_ms - first["h"].now_ms <= REFUSED_PERMIT_MS + 1000
    await settle_all(lanes, first, TIMED_OUT)
    assert count(await claim_all(lanes)) == 2


async def test_quick_answers_do_not_count_against_the_pace(lanes: FairLanes) -> None:
    """As within one shard."""
    for _ in range(4):
        claims = await claim_all(lanes)
        assert count(claims) == 6
        await settle_all(lanes, claims, REFUSED)


async def test_a_2xx_through_one_shard_frees_the_host_for_all(lanes: FairLanes, redis: Redis) -> None:
    """No shard must prove it again."""
    first = await claim_all(lanes)
    await settle_all(lanes, first, ANSWERED)
    again = await claim_all(lanes)
    assert count(again) >= 2 * len(SHARDS) - 4
    assert all([await redis.hexists(keys.proven(shard), ORIGIN) for shard in SHARDS])  # type: ignore[misc]  # redis-py types both clients at once


async def test_a_dead_workers_permits_end_with_its_leases(lanes: FairLanes) -> None:
    """Nobody gives them back, and no key stays."""
    assert count(await claim_all(lanes, lease_ms=900)) == 6
    await asyncio.sleep(0.91)
    others = FairLanes(lanes.redis, SHARDS, limits=LIMITS)
    assert count(await claim_all(others)) == 2
    assert await lanes.redis.pttl(keys.permits(ORIGIN)) > 0


async def test_one_shard_needs_no_permits(redis: Redis) -> None:
    """Its own count is the whole one."""
    lanes = FairLanes(redis, "a", limits=LIMITS)
    name = f"prj_x {ORIGIN} 1"
    await Committer(redis, aof=False).commit(Change("a", (), [Due("dlv", name, "dlv_a", 0, "set")]))
    claim = await lanes.claim("a", [(name, 9)], most=9, page=9, lease_ms=60_000)
    assert len(claim.items) == 1
    assert await redis.exists(keys.permits(ORIGIN)) == 0

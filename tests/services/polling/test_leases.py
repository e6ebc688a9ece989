"""Leases are short and renewed: a dead worker's items come back soon, a slow upstream still gets its time."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostError

from bridge.services.polling.leases import RenewalTimer, RenewedLeases
from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.lanes import Claim, Lanes, Settled

LEASE_MS = 1_000  # a loaded machine may stand still for a while
EVERY_S = 0.25


@pytest.fixture
def lanes(redis: Redis) -> Lanes:
    return Lanes(redis, "poll", "a")


async def claim(lanes: Lanes, *members: str) -> Claim:
    ops = [Due("poll", "x", member, 0, "sooner") for member in members]
    if ops:
        await Committer(lanes.redis, aof=False).commit(Change("a", (), ops))
    return await lanes.claim("a", [("x", 0)], most=9, page=9, lease_ms=LEASE_MS)


async def claim_when_free(lanes: Lanes) -> Claim:
    async with asyncio.timeout(10):
        while not (claimed := await claim(lanes)).items:  # noqa: ASYNC110  # only the store knows
            await asyncio.sleep(0.01)
    return claimed


def keep(lanes: Lanes, held: Claim) -> RenewedLeases:
    items = [(item.member, held.token) for item in held.items]
    return RenewedLeases(lanes, "a", "x", items, lease_ms=LEASE_MS, timer=RenewalTimer(every_s=EVERY_S))


async def test_a_kept_lease_outlives_its_length_and_settles(lanes: Lanes) -> None:
    """Nobody else gets the items while the block lasts, three leases long; the token of its end settles them."""
    held = await claim(lanes, "1", "2")
    async with keep(lanes, held) as kept:
        for _ in range(12):
            await asyncio.sleep(EVERY_S)
            assert (await claim(lanes)).items == ()
    assert kept.tokens[0] == kept.tokens[1] != held.token
    assert await lanes.settle("a", [Settled("x", "1", held.token, None)]) == ["1"]
    done = [Settled("x", member, token, None) for member, token in zip("12", kept.tokens, strict=True)]
    assert await lanes.settle("a", done) == []
    assert await lanes.size("a", "x") == 0


async def test_quick_work_renews_nothing(lanes: Lanes) -> None:
    """A block shorter than the interval keeps its token."""
    held = await claim(lanes, "1")
    async with keep(lanes, held) as kept:
        pass
    assert kept.tokens == [held.token]
    assert await lanes.settle("a", [Settled("x", "1", held.token, None)]) == []


async def test_a_lost_lease_stays_lost(lanes: Lanes) -> None:
    """Once another has claimed an item, renewing gives nothing, and its new holder keeps it."""
    held = await claim(lanes, "1")
    other = await claim_when_free(lanes)
    assert await lanes.renew("a", "x", [("1", held.token), ("2", held.token)], lease_ms=LEASE_MS) == [
        None,
        None,
    ]
    assert await lanes.settle("a", [Settled("x", "1", other.token, None)]) == []


async def test_a_renewed_lease_ends_too(lanes: Lanes) -> None:
    """After the last renewal of a dead worker its item comes back."""
    held = await claim(lanes, "1")
    (token,) = await lanes.renew("a", "x", [("1", held.token)], lease_ms=LEASE_MS)
    assert token is not None
    assert (await claim(lanes)).items == ()
    assert (await claim_when_free(lanes)).items


class Away(Lanes):
    """Lanes whose store cannot be reached."""

    async def renew(self, *_: object, **__: object) -> list[bytes | None]:
        raise LostError("away")


async def test_a_store_that_is_away_does_not_end_the_work(redis: Redis) -> None:
    """The block goes on; its token stays, and whether it still settles the store decides."""
    away = Away(redis, "poll", "a")
    held = await claim(away, "1")
    async with keep(away, held) as kept:
        await asyncio.sleep(2.5 * EVERY_S)
    assert kept.tokens == [held.token]


async def test_blocks_that_share_a_timer_are_each_renewed(lanes: Lanes) -> None:
    """Also one that began later than a block which has ended before its first renewal."""
    timer = RenewalTimer(every_s=EVERY_S)

    def block(held: Claim) -> RenewedLeases:
        items = [(item.member, held.token) for item in held.items]
        return RenewedLeases(lanes, "a", "x", items, lease_ms=LEASE_MS, timer=timer)

    quick, slow, late = [await claim(lanes, member) for member in "123"]
    async with block(quick):
        pass
    async with block(slow) as kept:
        await asyncio.sleep(EVERY_S / 2)
        async with block(late) as kept_late:
            for _ in range(12):
                await asyncio.sleep(EVERY_S)
    assert slow.token not in kept.tokens, "three leases long"
    assert late.token not in kept_late.tokens
    assert await lanes.settle("a", [Settled("x", "2", kept.tokens[0], None)]) == []

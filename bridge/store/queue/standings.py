"""Look at the lanes of deliveries: what their due items wait for, by the rules of claim_fair_v3."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from bridge.domain.deliveries.breaker import Breaker, BreakerState
from bridge.domain.deliveries.lanes import INBOX, is_origin_wide, read_origin
from bridge.domain.deliveries.origin_limits import UNREACHABLE_AFTER, OriginLimits, SlotLimit
from bridge.store import keys
from bridge.store.queue.breakers import ANSWERS, ask_breaker, read_breaker
from bridge.store.queue.fair_lanes import DOWN_MS, PACE

_POOL: Final = 10**12  # a turn is a pool's number times this, plus the place in it
_ANSWERS: Final = 10 + ANSWERS


class LaneStanding(Struct, frozen=True, kw_only=True):
    """What a lane's items may wait for."""

    in_flight: int  # attempts of the lane
    per_url: int  # most of them
    before: int | None  # lanes whose turn comes before; None: it has no place in the origin's turns
    origin_in_flight: int  # attempts that share slots with the lane
    origin_most: int  # most of them
    kind: str  # "healthy", "unknown", "slow", "stranger" or "unreachable"
    has_room: bool = True  # the origin would let an attempt begin now
    breaker: Breaker = Breaker()


class LaneStandings:
    """Reads what lanes wait for."""

    def __init__(self, redis: Redis, limits: OriginLimits) -> None:
        """Take how many attempts an origin may have in flight."""
        self._redis = redis
        self._limits = limits

    async def look(
        self, shard: str, lanes: Collection[str], *, now_ms: int, lease_ms: int
    ) -> dict[str, LaneStanding]:
        """Return what lanes wait for, in one round trip; those that lead to no origin are left out.

        `lease_ms` is that of the workers' claims.
        """
        wanted = [lane for lane in lanes if not is_origin_wide(lane) and read_origin(lane) != INBOX]
        if not wanted:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for lane in wanted:
            _ask(pipe, shard, lane, now_ms)
        answers = await pipe.execute()
        return {
            lane: self._read(answers[at : at + _ANSWERS], now_ms=now_ms, lease_ms=lease_ms)
            for lane, at in zip(wanted, range(0, len(answers), _ANSWERS), strict=True)
        }

    def _read(self, answers: Sequence[Any], *, now_ms: int, lease_ms: int) -> LaneStanding:
        own, good, slow, proven, down, flying, rank, turn, *below = answers[:-ANSWERS]
        breaker = read_breaker(answers[-ANSWERS:])
        is_probed = breaker.state(now_ms) is not BreakerState.CLOSED
        good = None if is_probed else good
        kind, pool, limit = self._kind(good=good, slow=slow, proven=proven, down=down, now_ms=now_ms)
        is_strict = kind in ("stranger", "unreachable")
        ends = [end for member, end in flying if member != PACE and (is_strict or round(end % 1 * 8) == pool)]
        young = sum(end - lease_ms + limit.young_ms > now_ms for end in ends)
        rate_ms = max([now_ms, *(end for member, end in flying if member == PACE)])
        paced = limit.burst - (rate_ms - now_ms) / limit.interval_ms if limit.interval_ms else 1
        return LaneStanding(
            in_flight=int(own),
            per_url=limit.per_url,
            before=None if rank is None else int(rank) - (0, *below)[int(turn // _POOL) - 1],
            origin_in_flight=len(ends),
            origin_most=limit.total,
            kind=kind,
            has_room=len(ends) < limit.total and young < limit.young and paced >= 1,
            breaker=breaker,
        )

    def _kind(
        self, *, good: float | None, slow: float | None, proven: bytes | None, down: float | None, now_ms: int
    ) -> tuple[str, int, SlotLimit]:
        """Return the kind of a lane, its pool and its limit."""
        if down and down % 1000 >= UNREACHABLE_AFTER and down > now_ms - DOWN_MS:
            return "unreachable", 2, self._limits.unreachable
        if proven is None:
            return "stranger", 2, self._limits.stranger
        if slow is not None:
            return "slow", 3, self._limits.slow
        return ("unknown", 2, self._limits.unknown) if good is None else ("healthy", 1, self._limits.healthy)


def _ask(pipe: Pipeline, shard: str, lane: str, now_ms: int) -> None:
    """Ask for the facts of one lane; its place in the turns counts from the first of its pool, of which there are three."""
    origin = read_origin(lane)
    turns = keys.turns(shard, origin)
    pipe.zcount(keys.lane(shard, "dlv", lane), "-inf", f"({-now_ms}")
    pipe.zscore(keys.good(shard), lane)
    pipe.zscore(keys.slow(shard), lane)
    pipe.hget(keys.proven(shard), origin)
    pipe.zscore(keys.down(shard), origin)
    pipe.zrangebyscore(keys.fly(shard, origin), now_ms, "+inf", withscores=True)
    pipe.zrank(turns, lane)
    pipe.zscore(turns, lane)
    pipe.zcount(turns, "-inf", f"({2 * _POOL}")
    pipe.zcount(turns, "-inf", f"({3 * _POOL}")
    ask_breaker(pipe, shard, lane)

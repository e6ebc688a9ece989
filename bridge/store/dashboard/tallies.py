"""What is counted for people: endings, lags and attempts, for pages and for /metrics.

A process counts in its memory and adds that to the store every few seconds, so that counting costs those who work nothing.
A process that is killed loses what it counted since; nothing is decided by these numbers.
"""

from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any, Final, NamedTuple

from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.lags import bucket_of
from bridge.store.dashboard import tally_keys
from bridge.store.errors import STORE_ERRORS

HOUR_MS: Final = 3_600_000
HALF_HOUR_MS: Final = HOUR_MS // 2
DAY_MS: Final = 24 * HOUR_MS
HOURS: Final = 24
_DAY_TTL_S: Final = 8 * 86_400
_HOURS_TTL_S: Final = 2 * 86_400
_PULSE_TTL_S: Final = 25 * 3600
MOST_COUNTS: Final = 20_000  # of days, hours and endpoints, that one process keeps between two flushes
COUNTED_AT_ONCE: Final = 500  # what is counted in a row takes half of the processor time
FLUSHED: Final = 200  # keys that are written in one round trip

# Where a number is kept: a key, the key's time to live in seconds (0: for ever), a field.
_Place = tuple[str, int, str]


class Hour(Struct, frozen=True, kw_only=True):
    """An hour of a project: jobs that ended and that failed, and lags by bucket, see `domain/lags`.

    `detected` are the longest times that endings can have waited to be seen, `delivered` those from an event to the end of
    its first attempt.
    """

    ended: int
    failed: int
    detected: dict[int, int]
    delivered: dict[int, int]


class Pulse(NamedTuple):
    """Attempts to an endpoint in half an hour."""

    ok: int
    failed: int


class Tallies:
    """The counters of one process, and the sums of all of them."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        # By what was counted: the function that lists its places, and what that takes.
        self._counts: dict[tuple[Any, ...], int] = {}
        self._totals: Counter[str] = Counter()
        # What is not counted yet: the function that counts it, and what that takes.
        self._notes: list[tuple[Any, ...]] = []

    def _count(self, what: tuple[Any, ...]) -> None:
        """Count something; its places are spelled out when it is flushed, once for all that were alike."""
        number = self._counts.get(what, 0)
        if number or len(self._counts) < MOST_COUNTS:
            self._counts[what] = number + 1

    def _count_lag(
        self, project: str, letter: str, lag_ms: int, now_ms: int, also: tuple[str, ...] = ()
    ) -> None:
        self._totals[letter + ":ms"] += max(lag_ms, 0)
        self._count((_list_hour, project, now_ms // HOUR_MS, letter, bucket_of(lag_ms), also))

    def _note(self, *note: Any) -> None:
        self._notes.append(note)
        if len(self._notes) >= COUNTED_AT_ONCE:
            self._count_notes()

    def _count_notes(self) -> None:
        notes, self._notes = self._notes, []
        for count, *what in notes:
            count(*what)

    def note_event(self, project: str, type_: str, *, now_ms: int) -> None:
        """Count an event by its day."""
        self._note(self._count, (_list_day, project, now_ms // DAY_MS, type_))

    def note_ending(self, project: str, *, failed: bool, lag_ms: int, now_ms: int) -> None:
        """Count a job that ended at its provider at most `lag_ms` before that was seen."""
        self._note(
            self._count_lag, project, "d", lag_ms, now_ms, ("ended", "failed") if failed else ("ended",)
        )

    def note_attempt(
        self, project: str, *, verdict: str, endpoint: str, ok: bool, lag_ms: int | None, now_ms: int
    ) -> None:
        """Count an attempt, of an endpoint ("": none) too; `lag_ms` after its event, None for all but the first."""
        self._note(self._count_total, "attempts:" + verdict)
        if endpoint:
            pulse = (_list_pulse, project, endpoint, now_ms // HALF_HOUR_MS, "ok" if ok else "failed")
            self._note(self._count, pulse)
        if lag_ms is not None:
            self._note(self._count_lag, project, "s", lag_ms, now_ms)

    def _count_total(self, name: str) -> None:
        self._totals[name] += 1

    def note_parked(self, project: str, *, now_ms: int) -> None:
        """Count a delivery that was given up."""
        self._count((_list_day, project, now_ms // DAY_MS, "parked"))
        self._totals["parked"] += 1

    def note_repairs(self, what: str, number: int) -> None:
        """Count what the sweep had to repair."""
        if number:
            self._totals[f"repairs:{what}"] += number

    def _take(self) -> list[tuple[tuple[str, int], Counter[str]]]:
        """Return what was counted, by key and time to live, and begin anew."""
        self._count_notes()
        counts, totals = self._counts, self._totals
        self._counts, self._totals = {}, Counter()
        taken: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        taken[tally_keys.TOTALS, 0] = totals
        for (list_places, *what), number in counts.items():
            for key, ttl_s, field in list_places(*what):
                taken[key, ttl_s][field] += number
        return list(taken.items())

    async def flush(self) -> None:
        """Add what was counted to the store; a store that is away or full costs these numbers alone."""
        taken = self._take()
        with suppress(*STORE_ERRORS):
            for start in range(0, len(taken), FLUSHED):
                pipe = self._redis.pipeline(transaction=False)
                for (key, ttl_s), counts in taken[start : start + FLUSHED]:
                    for field, number in counts.items():
                        pipe.hincrby(key, field, number)
                    if ttl_s:
                        pipe.expire(key, ttl_s)
                await pipe.execute()

    async def read_days(self, project: str, *, now_ms: int) -> tuple[dict[str, int], dict[str, int]]:
        """Return what was counted today and yesterday, by UTC, in one round trip."""
        today = now_ms // DAY_MS
        pipe = self._redis.pipeline(transaction=False)
        for number in (today, today - 1):
            pipe.hgetall(tally_keys.day(project, number))
        new, old = await pipe.execute()
        return _numbers(new), _numbers(old)

    async def read_hours(self, project: str, *, now_ms: int) -> list[Hour]:
        """Return the last 24 hours, the present one last, in one round trip."""
        last = now_ms // HOUR_MS
        pipe = self._redis.pipeline(transaction=False)
        days = (last // HOURS - 1, last // HOURS)
        for day in days:
            pipe.hgetall(tally_keys.hours(project, day))
        found: dict[int, dict[str, int]] = {}
        for day, counts in zip(days, await pipe.execute(), strict=True):
            for name, number in _numbers(counts).items():
                hour, _, field = name.partition(":")
                found.setdefault(day * HOURS + int(hour), {})[field] = number
        return [_read_hour(found.get(hour, {})) for hour in range(last - HOURS + 1, last + 1)]

    async def read_pulse(self, project: str, endpoint: str, *, now_ms: int) -> list[Pulse]:
        """Return the last 48 half hours of an endpoint, the present one last."""
        found = _numbers(await self._redis.hgetall(tally_keys.pulse(project, endpoint)))
        last = now_ms // HALF_HOUR_MS
        return [
            Pulse(found.get(f"{number}:ok", 0), found.get(f"{number}:failed", 0))
            for number in range(last - 2 * HOURS + 1, last + 1)
        ]

    async def read_totals(self) -> dict[str, int]:
        """Return what all processes have counted."""
        return _numbers(await self._redis.hgetall(tally_keys.TOTALS))


def _list_day(project: str, day: int, field: str) -> list[_Place]:
    return [(tally_keys.day(project, day), _DAY_TTL_S, field)]


def _list_hour(project: str, hour: int, letter: str, bucket: int, also: tuple[str, ...]) -> list[_Place]:
    """Return the places of a lag, in all and in an hour, and of what else that hour counts."""
    lag, key = f"{letter}{bucket}", tally_keys.hours(project, hour // HOURS)
    places = [(key, _HOURS_TTL_S, f"{hour % HOURS}:{field}") for field in (lag, *also)]
    return [(tally_keys.TOTALS, 0, lag), *places]


def _list_pulse(project: str, endpoint: str, half_hour: int, field: str) -> list[_Place]:
    return [(tally_keys.pulse(project, endpoint), _PULSE_TTL_S, f"{half_hour}:{field}")]


def _numbers(found: dict[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(number) for name, number in found.items()}


def read_lags(counts: dict[str, int], letter: str) -> dict[int, int]:
    """Return lags by bucket from counted fields: "d" until an ending was seen, "s" until a first attempt's end."""
    return {
        int(name[1:]): number
        for name, number in counts.items()
        if name[:1] == letter and name[1:].isdecimal()
    }


def _read_hour(counts: dict[str, int]) -> Hour:
    return Hour(
        ended=counts.get("ended", 0),
        failed=counts.get("failed", 0),
        detected=read_lags(counts, "d"),
        delivered=read_lags(counts, "s"),
    )

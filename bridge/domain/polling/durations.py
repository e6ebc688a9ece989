"""How long jobs of one category take: documented ranges as the prior, observed durations as evidence.

The distribution function is piecewise linear over the seconds since a job's start, so that one look-up costs a
bisection. A small heavy tail is always mixed in, because jobs may well take longer than documented.

The evidence is a life table, as in survival analysis: for each bin of ages, how many jobs were seen to reach it and how
many ended in it. Jobs that still run count as much as those that ended, so that the quick ones of a batch do not make
all look quick.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

BINS = 24
_FIRST_S, _STEP = 5.0, 1.35  # bins of growing width: from 5 s to about 90 min
EDGES: tuple[float, ...] = (0.0, *(_FIRST_S * _STEP**number for number in range(BINS)))
MAX_JOBS = 300.0  # jobs that a table holds; beyond, all counts are halved, so that it follows changes
PRIOR_WEIGHT = 30.0  # the documented ranges count as much as this many observed jobs
TAIL_WEIGHT = 0.06
_TAIL_KNOTS = tuple(2.0**exponent for exponent in range(18))  # seconds, to a day and a half
_EPSILON = 1e-9
# Times the documented rate of ending, which is next to nothing before a documented range.
MAX_CORRECTION = 1e4
MIN_CORRECTION = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationTable:
    """Jobs observed so far, by bin of `EDGES`: how many `entered` it running, how many `ended` in it.

    Fractions where the exact age of an end is unknown. The names of the fields are part of what is stored.
    """

    entered: tuple[float, ...] = (0.0,) * BINS
    ended: tuple[float, ...] = (0.0,) * BINS


NO_DURATIONS = DurationTable()


@dataclass(frozen=True, slots=True)
class At:
    """A distribution at one age: the share that has ended, the density per second, and the integral of the share."""

    ended: float
    density: float
    area: float


class Durations:
    """The distribution of how long jobs of one category take."""

    def __init__(self, ranges: Sequence[tuple[float, float]], table: DurationTable = NO_DURATIONS) -> None:
        """Mix uniform documented `ranges` (seconds, equally likely) with the tail, then correct that by a life table."""
        median = sum(low + high for low, high in ranges) / (2 * len(ranges))

        def documented(age: float) -> float:
            body = sum(min(max((age - low) / max(high - low, 1.0), 0.0), 1.0) for low, high in ranges)
            return (1 - TAIL_WEIGHT) * body / len(ranges) + TAIL_WEIGHT * age / (age + median)

        self._knots = sorted({*EDGES, *_TAIL_KNOTS, *(edge for pair in ranges for edge in pair)})
        shares = [documented(knot) for knot in self._knots]
        self._ended = shares if table == NO_DURATIONS else self._correct(shares, table)
        pieces = list(zip(pairwise(self._knots), pairwise(self._ended), strict=True))
        self._slope = [(later - sooner) / (end - start) for (start, end), (sooner, later) in pieces]
        self._slope.append(self._slope[-1] / 4)
        self._area = [0.0]
        for (start, end), (sooner, later) in pieces:
            self._area.append(self._area[-1] + (end - start) * (sooner + later) / 2)

    def _correct(self, shares: Sequence[float], table: DurationTable) -> list[float]:
        """Scale the documented rate of ending in each bin by what was observed."""
        alive = dict(zip(self._knots, (1 - share for share in shares), strict=True))
        factors = [
            _factor(alive[start], alive[end], table.entered[place], table.ended[place])
            for place, (start, end) in enumerate(pairwise(EDGES))
        ]
        corrected, left = [0.0], 1.0
        for start, end in pairwise(self._knots):
            left *= (alive[end] / alive[start]) ** factors[bin_of(start)]
            corrected.append(1 - left)
        return corrected

    def at(self, age_s: float) -> At:
        """Look up one age in seconds; a negative one counts as 0."""
        age = max(age_s, 0.0)
        piece = bisect_right(self._knots, age) - 1
        past, slope, ended = age - self._knots[piece], self._slope[piece], self._ended[piece]
        now = min(ended + past * slope, 1 - 1e-6)
        return At(now, slope, self._area[piece] + past * (ended + now) / 2)

    def quantile(self, share: float) -> float:
        """Return the age in seconds by which this share, below 1, has ended."""
        low, high = 0.0, 1.0
        while self.at(high).ended < share and high < _TAIL_KNOTS[-1]:
            high *= 2
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.at(middle).ended < share else (low, middle)
        return high


def _factor(alive: float, left: float, entered: float, ended: float) -> float:
    """Return the factor on a bin's documented rate of ending, where the share `alive` enters it and `left` leaves it running."""
    seen = (PRIOR_WEIGHT * (alive - left) + ended) / (PRIOR_WEIGHT * alive + entered)
    return min(max(seen * alive / (alive - left), MIN_CORRECTION), MAX_CORRECTION)


def bin_of(age_s: float) -> int:
    """Return the bin of an age."""
    return min(max(bisect_right(EDGES, age_s) - 1, 0), BINS - 1)


def add_duration(
    table: DurationTable, durations: Durations, *, alive_s: float | None, age_s: float, ended: bool
) -> DurationTable:
    """Add one poll: a job last seen running at `alive_s` (None: never) still runs at `age_s`, or has ended by then.

    When it ended in between is unknown, so that its end is spread over the bins in proportion to `durations`.
    """
    low, high = max(alive_s or 0.0, 0.0), max(age_s, alive_s or 0.0, 0.0)
    entered, gone = list(table.entered), list(table.ended)
    before, after = durations.at(low).ended, durations.at(high).ended
    span = max(after - before, _EPSILON)
    for place in range(bin_of(low), bin_of(high) + 1):
        start, end = max(EDGES[place], low), high if place == BINS - 1 else min(EDGES[place + 1], high)
        sooner = (durations.at(start).ended - before) / span if ended else 0.0
        if alive_s is None or EDGES[place] > low:
            entered[place] += 1 - sooner
        if ended:
            gone[place] += max(0.0, (durations.at(end).ended - before) / span - sooner)
    kept = 0.5 if entered[0] >= MAX_JOBS else 1.0
    return DurationTable(
        entered=tuple(round(each * kept, 3) for each in entered),
        ended=tuple(round(each * kept, 3) for each in gone),
    )

"""Lags by size, so that their quantiles can be told from counts. No I/O."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

# Upper bounds in seconds; what takes longer than the last one is counted behind it.
BOUNDS_S: Final = (
    *(0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0),
    *(60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0),
)


def bucket_of(lag_ms: float) -> int:
    """Return the number of the first bound that a lag in milliseconds is not above."""
    return bisect_left(BOUNDS_S, lag_ms / 1000)


def quantile_s(counts: Mapping[int, int], share: float) -> float | None:
    """Return a bound in seconds below which this share of counted lags is; infinite beyond the last; None of none."""
    whole, seen = sum(counts.values()), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if whole and seen >= share * whole:
            return BOUNDS_S[bucket] if bucket < len(BOUNDS_S) else math.inf
    return None


def differences(samples: Mapping[int, tuple[int, ...]], *, most_apart: int) -> dict[int, tuple[int, ...]]:
    """Return by how much counters grew from one sample to the next, by the later one's number.

    Samples too far apart tell nothing; a counter that has fallen began anew.
    """
    ordered = sorted(samples)
    return {
        after: tuple(max(new - old, 0) for new, old in zip(samples[after], samples[before], strict=True))
        for before, after in pairwise(ordered)
        if after - before <= most_apart
    }

"""Lags are counted by size, and quantiles told from the counts."""

import math

import pytest

from bridge.domain.lags import BOUNDS_S, bucket_of, differences, quantile_s


@pytest.mark.parametrize(
    ("lag_ms", "bound_s"), [(-5, 0.1), (0, 0.1), (100, 0.1), (101, 0.25), (14_000, 15.0), (3_600_000, 3600.0)]
)
def test_a_lag_is_counted_under_the_first_bound_that_it_is_not_above(lag_ms: int, bound_s: float) -> None:
    assert BOUNDS_S[bucket_of(lag_ms)] == bound_s


def test_a_quantile_is_a_bound() -> None:
    """19 of 20 at most 1 s: the 95th percentile is 1 s, and the next one shows the slow one."""
    counts = {bucket_of(1000): 19, bucket_of(50_000): 1}
    assert quantile_s(counts, 0.95) == 1.0
    assert quantile_s(counts, 0.96) == 60.0
    assert quantile_s({bucket_of(10**8): 1}, 0.5) == math.inf
    assert quantile_s({}, 0.5) is None


def test_differences_leave_gaps_and_restarts_out() -> None:
    samples = {10: (5, 1), 11: (8, 1), 15: (20, 2), 16: (3, 4)}
    assert differences(samples, most_apart=2) == {11: (3, 0), 16: (0, 2)}

"""Decide how many items a pump loads: enough that no slot waits for the store, not more than are started soon."""

from math import exp

LEAST = 200  # items: with fewer a claim is not worth its round trips
MIN_AHEAD_S = 0.15  # a claim and the load of its records take some iterations of a busy event loop
MAX_AHEAD_S = 1.0  # much less than the time within which a claimed item must be begun
CLAIMS_AHEAD = 2  # a claim begins once fewer items wait than the slots begin during so many claims
SMOOTHED_S = 0.06  # what was so long ago has lost two thirds of its weight


class Throughput:
    """A pump's throughput. With slow items few are loaded, because another worker may be free sooner."""

    def __init__(self) -> None:
        self._ended = 0
        self._per_s = 0.0
        self._ahead_s = MIN_AHEAD_S
        self._measured_s: float | None = None

    def note_end(self) -> None:
        """Count a finished item."""
        self._ended += 1

    def measure(self, now_s: float) -> None:
        """Update the smoothed rate with the items since the last call; `now_s` is monotonic."""
        if self._measured_s is not None and now_s > self._measured_s:
            per_s = self._ended / (now_s - self._measured_s)
            self._per_s += (per_s - self._per_s) * (1 - exp((self._measured_s - now_s) / SMOOTHED_S))
        self._measured_s = now_s
        self._ended = 0

    def note_claim(self, took_s: float) -> None:
        """Take into account how long a claim took, with the load of its records, as long as the next ones may."""
        self._ahead_s = min(max(MIN_AHEAD_S, CLAIMS_AHEAD * took_s), MAX_AHEAD_S)

    @property
    def ahead(self) -> int:
        """The number of items that were loaded and not begun, below which more should be claimed."""
        return max(LEAST, round(self._per_s * self._ahead_s))

"""How many items a pump holds: so many that no slot waits for the store, and no more than its slots take soon."""

AT_LEAST = 2  # items a slot: one at work, and one behind it
AHEAD_S = 0.15  # a claim and its records take some turns of a busy loop, each as long as a step of every slot
SMOOTHING = 0.3


class Throughput:
    """Counts what a pump's slots end. Where ends are slow little is held: another worker may be free before."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._ended = 0
        self._per_s = 0.0
        self._measured_s: float | None = None

    def note_end(self) -> None:
        """Count an item."""
        self._ended += 1

    def measure(self, now_s: float) -> None:
        """Smooth the pace since the last call, on any clock that only goes forward."""
        if self._measured_s is not None and now_s > self._measured_s:
            per_s = self._ended / (now_s - self._measured_s)
            self._per_s += (per_s - self._per_s) * SMOOTHING
        self._measured_s = now_s
        self._ended = 0

    @property
    def held(self) -> int:
        """Give the items, at work or loaded, below which more are to be claimed."""
        return max(self._slots * AT_LEAST, self._slots + round(self._per_s * AHEAD_S))

"""Whether this process can reach anything: where every host fails to connect, the trouble may be its own network's."""

from typing import Final

WINDOW_MS: Final = 600_000
MOST: Final = 1_000


class Reachability:
    """Which hosts were reached, and which were not, in the last ten minutes."""

    def __init__(self) -> None:
        self._reached_ms = 0
        self._missed: dict[str, int] = {}

    def note(self, origin: str, *, reached: bool, now_ms: int) -> None:
        """Note an attempt."""
        if reached:
            self._reached_ms = now_ms
            self._missed.pop(origin, None)
            return
        self._missed.pop(origin, None)
        self._missed[origin] = now_ms
        if len(self._missed) > MOST:
            del self._missed[next(iter(self._missed))]

    def is_doubtful(self, now_ms: int) -> bool:
        """Whether several hosts could not be reached lately, and not one could."""
        lately = now_ms - WINDOW_MS
        missed = sum(at_ms > lately for at_ms in self._missed.values())
        return missed > 1 and self._reached_ms <= lately

"""One timer for the time limits of many exchanges: nearly all end long before, and a timer for each costs more than that."""

import asyncio
from collections.abc import Callable
from math import inf

Expire = Callable[[], None]
LATE_S = 0.1  # a timer that runs so much late shows that the process stood still
LOOK_S = 0.01


class ExpiryTimer:
    """Calls functions at their times, unless they are removed before; times are those of the event loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._untils: dict[Expire, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = inf  # when the timer runs
        self._has_looked = False

    def add(self, expire: Expire, until: float) -> None:
        """Call `expire` at this time."""
        self._untils[expire] = until
        if until < self._next:
            self._set(until)

    def remove(self, expire: Expire) -> None:
        """Do not call `expire` any more."""
        self._untils.pop(expire, None)

    def close(self) -> None:
        """Call nothing any more."""
        self._untils.clear()
        self._set(inf)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if at == inf else self._loop.call_at(at, self._run)
        self._next = at

    def _run(self) -> None:
        """Call what has expired, then wait for the first of the others, however many were added and removed meanwhile.

        Where the process stood still past a limit (a suspended machine, SIGSTOP, a full core), the answer may have come
        in time and lie unread: uvloop runs timers before it reads. So it reads first, once.
        """
        now = self._loop.time()
        if now - self._next > LATE_S and not self._has_looked:
            self._has_looked = True
            self._set(now + LOOK_S)
            return
        self._has_looked = False
        due = [expire for expire, until in self._untils.items() if until <= now]
        for expire in due:
            self._untils.pop(expire, None)
        self._timer, self._next = None, inf
        self._set(min(self._untils.values(), default=inf))
        for expire in due:
            expire()

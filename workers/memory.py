"""Give memory that was freed back to the system: the C library keeps what lies between pieces that are still in use."""

import ctypes
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from bridge.store.cancellation import is_cancelled
from workers.ticks import sleep_to_tick

log = structlog.get_logger()

TRIM_INTERVAL_S: Final = 5.0
TRIM_BYTES: Final = 16 * 1024 * 1024  # what a process may have grown by before it is worth some milliseconds
STATM: Final = Path("/proc/self/statm")


class MemoryTrimmer:
    """Makes the C library return free memory whenever the process has grown since the last time.

    Large callbacks leave a worker's heap full of holes: after nine hundred of 20 KB it kept 20 to 60 MB for good.
    """

    def __init__(self, *, read_bytes: Callable[[], int], trim: Callable[[int], int]) -> None:
        """Take what returns the bytes in RAM, and `malloc_trim` (its manual page: it takes the bytes to leave at the top)."""
        self._read_bytes = read_bytes
        self._trim = trim
        self._least = read_bytes()

    def look(self) -> None:
        """Trim if the process is larger by `TRIM_BYTES` than it was at its least since the last time."""
        size = self._read_bytes()
        if size - self._least < TRIM_BYTES:
            self._least = min(self._least, size)
            return
        self._trim(0)
        self._least = self._read_bytes()
        log.debug("worker.memory_trimmed", before=size, after=self._least)


def make_trimmer() -> MemoryTrimmer | None:
    """Return a trimmer of this process, or None where the C library has no `malloc_trim` (it is glibc's) or there is no /proc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None or not STATM.exists():
        return None
    trim.argtypes = [ctypes.c_size_t]
    return MemoryTrimmer(read_bytes=_read_bytes, trim=trim)


def _read_bytes() -> int:
    """Return the bytes of this process in RAM (proc_pid_statm(5): the second number, in pages)."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def run_trimming() -> None:
    """Look at intervals whether memory can be given back, until cancelled."""
    trimmer = make_trimmer()
    while not is_cancelled():
        await sleep_to_tick(TRIM_INTERVAL_S)
        if trimmer is not None:
            trimmer.look()

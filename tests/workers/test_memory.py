"""Memory that was freed is given back to the system, once there is enough of it."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from workers.memory import TRIM_BYTES, MemoryTrimmer, make_trimmer

MB = 1024 * 1024
# A heap of 60 MB in pieces of 30 KB, of which every fortieth stays in use: the C library can hand back nothing by itself.
HOLES = """
from workers.memory import make_trimmer, _read_bytes
trimmer = make_trimmer()
pieces = [bytes(30_000) for _ in range(2_000)]
kept = pieces[::40]
del pieces
before = _read_bytes()
trimmer.look()
print(before, _read_bytes())
"""


class Process:
    """A process whose memory is a list of figures; the one after a trim is what it leaves."""

    def __init__(self, figures: Sequence[int]) -> None:
        self._figures = list(figures)
        self.trims = 0

    def read(self) -> int:
        return self._figures.pop(0)

    def trim(self, _pad: int) -> int:
        self.trims += 1
        return 1


@pytest.mark.parametrize(
    ("figures", "trims"),
    [
        ([70 * MB, 70 * MB + TRIM_BYTES - 1], [0]),
        ([70 * MB, 70 * MB + TRIM_BYTES, 75 * MB], [1]),
        # What a trim cannot give back is in use: the next one waits for as much again.
        ([70 * MB, 100 * MB, 90 * MB, 100 * MB], [1, 1]),
        ([70 * MB, 100 * MB, 90 * MB, 90 * MB + TRIM_BYTES, 90 * MB], [1, 2]),
        # Memory that went back by itself counts too.
        ([90 * MB, 70 * MB, 70 * MB + TRIM_BYTES, 70 * MB], [0, 1]),
    ],
)
def test_a_trim_waits_until_it_is_worth_it(figures: list[int], trims: list[int]) -> None:
    """A process is trimmed when it has grown by 16 MB since it was at its least."""
    process = Process(figures)
    trimmer = MemoryTrimmer(read_bytes=process.read, trim=process.trim)
    for expected in trims:
        trimmer.look()
        assert process.trims == expected


@pytest.mark.skipif(
    make_trimmer() is None, reason="malloc_trim is glibc's, and the memory is read from /proc"
)
def test_holes_in_the_heap_are_given_back() -> None:
    """A real process with a heap full of holes is smaller after a look."""
    run = subprocess.run(
        [sys.executable, "-c", HOLES], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = map(int, run.stdout.splitlines()[-1].split())
    assert before - after > 40 * MB

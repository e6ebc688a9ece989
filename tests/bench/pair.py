"""Before and after in one run: rounds of two checkouts in turns, so that what else the machine does hits both.

`python -m tests.bench.pair DIR_BEFORE DIR_AFTER --rounds 5 --what polls,deliveries,registrations,endings`. Each checkout
has a `.venv` of its own and the module `tests.bench.rounds`. Prints medians, and the ratio of the two in each round.
"""

import argparse
import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.ground import SIZES
from tests.bench.meter import Speed
from tests.bench.report import Row, write_table
from tests.bench.rounds import BARE, Round

HEAD = ("measure", "before", "after", "after / before, of each round")
LINE_BYTES = 1 << 20
STOP_S = 30.0


class Checkout:
    """A process that measures one checkout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def measure(self) -> Round:
        """Let it measure one round."""
        self.send("round")
        return {name: Speed(**speed) for name, speed in json.loads(await self.read()).items()}

    def send(self, line: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def read(self) -> str:
        """Return the next line of its output."""
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        assert line, "the process has ended: see its error above"
        return line

    async def stop(self) -> None:
        """Let it end what it has started."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(STOP_S):
            await self._process.wait()


@asynccontextmanager
async def running_checkout(folder: Path, what: Sequence[str], *, size: str) -> AsyncIterator[Checkout]:
    """Start a checkout's own Python in it, and wait until it can measure."""
    process = await asyncio.create_subprocess_exec(
        *(str(folder / ".venv/bin/python"), "-m", "tests.bench.rounds", *what),
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("REEL", "PYTHON"))},
        stdin=PIPE,
        stdout=PIPE,
        limit=LINE_BYTES,
    )
    try:
        checkout = Checkout(process)
        checkout.send(size)
        assert await checkout.read() == "ready"
        yield checkout
        await checkout.stop()
    finally:
        if process.returncode is None:
            process.kill()


async def compare(folders: tuple[Path, Path], what: Sequence[str], *, rounds: int, size: str) -> str:
    """Measure both in turns, each first in every other round, and return the table."""
    found: tuple[list[Round], list[Round]] = ([], [])
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(running_checkout(folder, what, size=size)) for folder in folders
        ]
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1} of {rounds}\n")
            for each in (0, 1) if number % 2 == 0 else (1, 0):
                found[each].append(await running[each].measure())
    return write_table(HEAD, [line for name in what for line in list_lines(name, *found)])


def list_lines(name: str, before: Sequence[Round], after: Sequence[Round]) -> list[tuple[str, ...]]:
    """Return the lines about one of the things measured: rate, its ratio to the bare loop, processor time."""
    rates = [[each[name].per_s for each in side] for side in (before, after)]
    ratios = [[each[name].per_s / each[BARE[name]].per_s for each in side] for side in (before, after)]
    times = [[each[name].cpu_us for each in side] for side in (before, after)]
    return [
        _line(f"{name}, rate", rates, unit=" /s", digits=0),
        _line(f"{name}, rate, ratio to the {BARE[name]}", ratios, unit="", digits=2),
        _line(f"{name}, processor time", times, unit=" µs", digits=0),
    ]


def _line(name: str, sides: Sequence[Sequence[float]], *, unit: str, digits: int) -> tuple[str, ...]:
    before, after = sides
    rows = [Row(name=name, values=values, unit=unit, digits=digits) for values in sides]
    paired = [new / old for old, new in zip(before, after, strict=True)]
    rows.append(Row(name=name, values=paired, digits=2))
    return (name, *(row.cells()[1] for row in rows))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--what", default=",".join(BARE), help="some of these, with commas between")
    parser.add_argument("--size", choices=list(SIZES), default="full")
    chosen = parser.parse_args()
    what = chosen.what.split(",")
    if unknown := set(what) - set(BARE):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    folders = chosen.before.resolve(), chosen.after.resolve()
    table = asyncio.run(compare(folders, what, rounds=chosen.rounds, size=chosen.size))
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()

"""Measures a job queue's worker process on the worker's core, against the same stub and kind of store as the bridge."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from tests.bench.ground import Ground, Size, on_core
from tests.bench.meter import PATIENCE_S, Speed, cpu_clock
from tests.bench.queues.errand import Errand, What
from tests.bench.rounds import Round

ROOT = Path(__file__).parents[3]
OTHER_PYTHON = ROOT / ".venv-bench/bin/python"
LOOK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A job queue: its module beside this one, and the Python that has it installed."""

    name: str
    python: str

    def command(self, mode: str) -> list[str]:
        """Return the command that seeds the queue or works on it."""
        return [self.python, "-m", f"tests.bench.queues.{self.name}_worker", mode]

    def version(self) -> str:
        """Return the name and the installed version."""
        program = "import sys, importlib.metadata as of; print(of.version(sys.argv[1]))"
        done = subprocess.run(
            [self.python, "-c", program, self.name], capture_output=True, text=True, check=True, timeout=60
        )
        return f"{self.name} {done.stdout.strip()}"


# arq is the bridge's own dependency; the others have an environment with the Redis clients that they want.
PROGRAMS = {
    "arq": Program(name="arq", python=sys.executable),
    **{name: Program(name=name, python=str(OTHER_PYTHON)) for name in ("saq", "streaq", "celery")},
}


async def measure_queue(ground: Ground, program: Program, *, redis_url: str, body: bytes) -> Round:
    """Measure polls, then deliveries, each in an emptied store."""
    found: Round = {}
    counts: dict[What, int] = {"polls": ground.size.queued_jobs, "deliveries": _count_deliveries(ground)}
    for what, jobs in counts.items():
        errand = Errand(
            what=what,
            redis_url=redis_url,
            upstream=ground.stub.upstream,
            hooks=[ground.stub.hook(number) for number in range(ground.size.destinations)],
            jobs=jobs,
            slots=ground.size.slots,
            body=body.decode(),
        )
        found[what] = await _measure(ground, program, errand)
    return found


def _count_deliveries(ground: Ground) -> int:
    """As many as are measured, and some that keep the slots full until then."""
    return ground.size.warm_up + ground.size.queue_items + ground.size.slots


async def _measure(ground: Ground, program: Program, errand: Errand) -> Speed:
    """Fill the queue of an empty store, and measure a worker process after its first requests.

    A job is counted at the stub. Deliveries go on until the last one: each must come exactly once.
    """
    environment = {**os.environ, **errand.environment()}
    async with Redis.from_url(errand.redis_url) as redis:
        await redis.flushall()
    with on_core(ground.cores.other):
        done = await asyncio.to_thread(
            subprocess.run, program.command("seed"), env=environment, cwd=ROOT, timeout=PATIENCE_S, check=True
        )
        assert done.returncode == 0
        with _running(ground, program, environment) as process:
            counter = _Counter(ground, errand.what)
            speed = await counter.watch(process, ground.size)
            if errand.what == "deliveries":
                await counter.reach(errand.jobs)
                assert counter.count == errand.jobs, "each delivery is one POST"
        return speed


class _Counter:
    """The requests of one kind that have come to the stub since this was made."""

    def __init__(self, ground: Ground, what: What) -> None:
        self._stub = ground.stub
        self._index = ("polls", "deliveries").index(what)
        self._before = self._stub.counts()[self._index]

    @property
    def count(self) -> int:
        return self._stub.counts()[self._index] - self._before

    async def reach(self, count: int) -> int:
        """Wait for at least so many; returns how many there are."""
        async with asyncio.timeout(PATIENCE_S):
            while (found := self.count) < count:  # noqa: ASYNC110 -- the stub is another process
                await asyncio.sleep(LOOK_S)
        return found

    async def watch(self, process: int, size: Size) -> Speed:
        """Measure a process between two counts."""
        cpu_s = cpu_clock(process)
        first, began = await self._read_at(size.warm_up, cpu_s)
        last, ended = await self._read_at(size.warm_up + size.queue_items, cpu_s)
        took_s, used_s = (end - begin for begin, end in zip(began, ended, strict=True))
        return Speed(per_s=(last - first) / took_s, cpu_us=used_s / (last - first) * 1e6)

    async def _read_at(self, count: int, cpu_s: Callable[[], float]) -> tuple[int, tuple[float, float]]:
        return await self.reach(count), (time.perf_counter(), cpu_s())


@contextlib.contextmanager
def _running(ground: Ground, program: Program, environment: dict[str, str]) -> Iterator[int]:
    """Run a worker process; yields its id."""
    log = ground.folder / f"{program.name}.log"
    with (
        log.open("wb") as output,
        on_core(ground.cores.worker),
        subprocess.Popen(
            program.command("work"), env=environment, cwd=ROOT, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield process.pid
        except (AssertionError, TimeoutError) as error:
            error.add_note(log.read_text()[-2_000:])
            raise
        finally:
            process.kill()

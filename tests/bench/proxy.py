"""What the proxy costs: status reads through the bridge, through a bare reverse proxy on aiohttp, and direct.

`python -m tests.bench.proxy` takes a minute; `--smoke` shows within seconds that it still runs. Both proxies run on one
core, upstream and clients on the other one.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bridge.http.client.opening import open_client
from tests.bench.bare import LOGIN
from tests.bench.ground import (
    API_KEY,
    FULL,
    SMOKE,
    Cores,
    Ground,
    Size,
    make_environment,
    name_job,
    on_core,
    running_store,
    running_stub,
)
from tests.bench.meter import Meter, Speed, cpu_clock, drive
from tests.bench.registrations import ROOT, running_api, wait_ready
from tests.bench.report import Row, describe_hardware, write_table

HEAD = ("measure", "median (min–max)", "aim")  # noqa: RUF001 -- a range, as it is printed
ONE_BY_ONE = 10  # so many times fewer requests when one follows another
Send = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to the upstream: how to send along it, and the processor clock of the proxy on it."""

    send: Send
    cpu_s: Callable[[], float]
    speeds: list[Speed] = field(default_factory=list)
    p50s_ms: list[float] = field(default_factory=list)

    async def measure(self, size: Size) -> None:
        """Measure a round: many at once, then one after another."""
        meter = Meter(warm_up=size.warm_up, measured=size.polls, cpu_s=self.cpu_s)
        self.speeds.append(await drive(meter, self.send, slots=size.slots))
        took_ms = []
        for number in range(size.polls // ONE_BY_ONE):
            began = time.perf_counter()
            await self.send(number)
            took_ms.append((time.perf_counter() - began) * 1000)
        self.p50s_ms.append(statistics.median(took_ms))


@asynccontextmanager
async def _ready(ground: Ground) -> AsyncIterator[Mapping[str, Way]]:
    """Start both proxies, and yield the ways to the upstream by their names."""
    async with running_store(ground, "proxy") as store, open_client() as client:

        def way(origin: str, headers: Mapping[str, str], process: int) -> Way:
            async def send(number: int) -> None:
                target = f"/reelmirror/api/v1/sync-jobs/{name_job(number % size.polled_jobs)}"
                response = await client.get(origin, target, headers, until=time.monotonic() + 60)
                while await response.body.read():
                    pass
                assert response.status == 200
                response.release()

            return Way(send=send, cpu_s=cpu_clock(process))

        size, upstream = ground.size, ground.stub.upstream
        environment = make_environment(ground, store, poll_scale=1.0)
        with running_api(ground, environment) as (api, log), _running_bare(ground) as (bare, port):
            own = f"http://127.0.0.1:{await wait_ready(log)}"
            yield {
                "direct": way(upstream, LOGIN, api),
                "bare": way(f"http://127.0.0.1:{port}", LOGIN, bare),
                "bridge": way(own, {"Authorization": f"Bearer {API_KEY}"}, api),
            }


@contextmanager
def _running_bare(ground: Ground) -> Iterator[tuple[int, int]]:
    """Run the bare proxy; yields its process id and its port."""
    program = [sys.executable, "-m", "tests.bench.bare_proxy", ground.stub.upstream]
    with (
        on_core(ground.cores.worker),
        subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


async def measure(size: Size, folder: Path) -> str:
    """Measure in interleaved rounds, and return the table."""
    cores = Cores.choose()
    with on_core(cores.other), running_stub(1) as stub:
        ground = Ground(folder=folder, cores=cores, stub=stub, size=size)
        async with _ready(ground) as ways:
            for _ in range(size.rounds):
                for way in ways.values():
                    await way.measure(size)
    table = write_table(HEAD, [row.cells() for row in _list_rows(ways)])
    return "\n\n".join([table, describe_hardware("embedded store")])


def _list_rows(ways: Mapping[str, Way]) -> list[Row]:
    bare, bridge = ways["bare"].speeds, ways["bridge"].speeds
    rates = [ours.per_s / theirs.per_s for ours, theirs in zip(bridge, bare, strict=True)]
    direct_ms = ways["direct"].p50s_ms
    over = [
        (f"{name}: p50 over direct", [ms - least for ms, least in zip(way.p50s_ms, direct_ms, strict=True)])
        for name, way in (("bare proxy", ways["bare"]), ("bridge", ways["bridge"]))
    ]
    return [
        Row(name="bare proxy: requests", values=[each.per_s for each in bare], unit=" /s"),
        Row(name="bridge: requests", values=[each.per_s for each in bridge], unit=" /s"),
        Row(name="**requests, ratio**", values=rates, digits=2, least=0.7),
        Row(name="bare proxy: processor time a request", values=[each.cpu_us for each in bare], unit=" µs"),
        Row(name="bridge: processor time a request", values=[each.cpu_us for each in bridge], unit=" µs"),
        Row(name="direct: p50", values=direct_ms, unit=" ms", digits=3),
        Row(name=over[0][0], values=over[0][1], unit=" ms", digits=3),
        Row(name=f"**{over[1][0]}**", values=over[1][1], unit=" ms", digits=3, most=2),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny numbers: it runs, nothing more")
    size = SMOKE if parser.parse_args().smoke else FULL
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(uvloop.run(measure(size, Path(folder))) + "\n")


if __name__ == "__main__":
    main()

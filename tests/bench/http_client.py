"""What a request costs with the bridge's HTTP client and with `ClientSession`, in processor time of this process.

`python -m tests.bench.http_client` takes half a minute; `--smoke` shows within seconds that it still runs.
"""

import argparse
import asyncio
import sys

import uvloop

from bridge.http.client.http_response import HttpResponse
from bridge.http.client.opening import open_client
from tests.bench.bare import LOGIN, post_bare, read_bare
from tests.bench.ground import FULL, SMOKE, Cores, Size, Stub, name_job, on_core, running_stub
from tests.bench.meter import Meter, Speed, drive
from tests.bench.report import Row, describe_hardware, write_table
from tests.bench.signing import sign_delivery

BODY = b'{"id":"evt_1","type":"sync_job.completed","data":{"text":"' + b"x" * 600 + b'"}}'
HEADERS = {"user-agent": "bare", "accept": "application/json"}
PATIENCE_S = 15.0
HEAD = ("measure", "median (min–max)", "aim")  # noqa: RUF001 -- a range, as it is printed


async def _end(response: HttpResponse) -> None:
    while await response.body.read():
        pass
    assert response.status == 200
    response.release()


async def read_ours(stub: Stub, meter: Meter, *, slots: int, jobs: int) -> Speed:
    """Do as `read_bare`."""
    loop = asyncio.get_running_loop()
    async with open_client(headers=HEADERS) as client:

        async def read(number: int) -> None:
            target = f"/reelmirror/api/v1/sync-jobs/{name_job(number % jobs)}"
            await _end(await client.get(stub.upstream, target, LOGIN, until=loop.time() + PATIENCE_S))

        return await drive(meter, read, slots=slots)


async def post_ours(stub: Stub, meter: Meter, *, slots: int, body: bytes) -> Speed:
    """Do as `post_bare`."""
    loop = asyncio.get_running_loop()
    async with open_client(headers=HEADERS) as client:

        async def post(number: int) -> None:
            scheme, _, rest = stub.hook(number).partition("://")
            host, _, path = rest.partition("/")
            origin, signed = f"{scheme}://{host}", sign_delivery(number, body)
            until = loop.time() + PATIENCE_S
            await _end(await client.post(origin, f"/{path}", signed, body, until=until))

        return await drive(meter, post, slots=slots)


async def measure(size: Size) -> str:
    """Measure in interleaved rounds; gives the table."""
    speeds: dict[str, list[Speed]] = {name: [] for name in ("bare get", "get", "bare post", "post")}
    cores = Cores.choose()
    with on_core(cores.other), running_stub(size.destinations) as stub, on_core(cores.worker):
        for _ in range(size.rounds):
            meters = [Meter(warm_up=size.warm_up, measured=size.polls) for _ in speeds]
            for name, speed in zip(
                speeds,
                (
                    await read_bare(stub, meters[0], slots=size.slots, jobs=size.polled_jobs),
                    await read_ours(stub, meters[1], slots=size.slots, jobs=size.polled_jobs),
                    await post_bare(stub, meters[2], slots=size.slots, body=BODY),
                    await post_ours(stub, meters[3], slots=size.slots, body=BODY),
                ),
                strict=True,
            ):
                speeds[name].append(speed)
    rows = [*_rows(speeds, "get"), *_rows(speeds, "post")]
    return "\n\n".join([write_table(HEAD, [row.cells() for row in rows]), describe_hardware("no store")])


def _rows(speeds: dict[str, list[Speed]], name: str) -> list[Row]:
    bare_us, ours_us = ([each.cpu_us for each in speeds[key]] for key in (f"bare {name}", name))
    ratios = [ours / bare for ours, bare in zip(ours_us, bare_us, strict=True)]
    return [
        Row(name=f"processor time a {name.upper()}, `ClientSession`", values=bare_us, unit=" µs"),
        Row(name=f"processor time a {name.upper()}, the bridge's client", values=ours_us, unit=" µs"),
        Row(name=f"{name.upper()}, ratio", values=ratios, digits=2, most=0.6),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny numbers: it runs, nothing more")
    size = SMOKE if parser.parse_args().smoke else FULL
    sys.stdout.write(uvloop.run(measure(size)) + "\n")


if __name__ == "__main__":
    main()

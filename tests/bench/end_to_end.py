"""`reelbridge up` as a user runs it, from jobs that end together upstream to their callbacks at the receivers."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bridge.providers.registry import KINDS
from tests.bench.bare import bare_session
from tests.bench.ground import API_KEY, OWN_DEADLINE_S, QUIET_S, Ground, make_environment, name_job
from tests.bench.meter import PATIENCE_S, Meter, drive
from tests.bench.report import percentile

INTERVAL_S = 2.0  # between two reads of a job
STOP_S = 60.0
MIDDLE = (0.05, 0.95)  # of the callbacks: neither the first nor the last tell how many can be sent a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What one group of jobs showed: callbacks a second, and the lag of each in ms."""

    per_s: float
    lags_ms: Sequence[float]


async def measure_together(ground: Ground) -> list[Together]:
    """Let several groups of jobs end, one after the other; each of its jobs must be called back exactly once."""
    async with _running_service(ground) as service:
        accounts = [await service.add_account(number) for number in range(ground.size.accounts)]
        count = ground.size.destinations
        before = ground.stub.counts()[1]
        await service.register(
            "ends", accounts, first=0, count=count
        )  # destinations are known once they answered
        await _wait(lambda: ground.stub.counts()[1] - before, count)
        return [await _end_group(ground, service, accounts, number) for number in range(ground.size.groups)]


async def _end_group(ground: Ground, service: "Service", accounts: Sequence[str], number: int) -> Together:
    count, stub = ground.size.ending_jobs, ground.stub
    before, _ = stub.ask("pending")
    await service.register(f"group{number}", accounts, first=count * (number + 1), count=count)
    await _wait(lambda: stub.counts()[0] - before, count)  # the first reads are over
    stub.ask("end")
    await _wait(lambda: len(stub.ask("arrivals")[1]), count)
    await service.wait_idle()
    ended_s, arrivals = stub.ask("arrivals")
    assert set(Counter(hook for hook, _ in arrivals).values()) == {1}, "a callback was sent twice"
    assert len(arrivals) == count, "a callback is missing, or another job's was sent"
    return read_arrivals([at_s - ended_s for _, at_s in arrivals])


def read_arrivals(lags_s: Sequence[float]) -> Together:
    """Return what the seconds between the end upstream and each callback show."""
    first, last = (percentile(lags_s, share) for share in MIDDLE)
    sent = len(lags_s) * (MIDDLE[1] - MIDDLE[0])
    return Together(per_s=sent / (last - first), lags_ms=[lag * 1000 for lag in lags_s])


async def _wait(count: Callable[[], int], least: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while count() < least:  # noqa: ASYNC110 -- the stub is another process
            await asyncio.sleep(QUIET_S)


class Service:
    """A client of the running API."""

    def __init__(self, ground: Ground, session: aiohttp.ClientSession, url: str) -> None:
        self._ground = ground
        self._session = session
        self._url = url

    async def wait_ready(self) -> None:
        """Wait until the API answers that it and its store are ready."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self._is_ready():  # noqa: ASYNC110 -- another process starts
                await asyncio.sleep(QUIET_S)

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def add_account(self, number: int) -> str:
        """Return the id of a new account."""
        body = {"provider": "reelmirror", "credential": f"rm_{number:032}"}
        async with self._session.post(f"{self._url}/v1/accounts", json=body) as answer:
            assert answer.status in {200, 201}, await answer.text()
            return str((await answer.json())["id"])

    async def register(self, word: str, accounts: Sequence[str], *, first: int, count: int) -> None:
        """Register jobs whose ids begin with a word, each with a hook of its own, from the hook `first` on."""

        async def send(number: int) -> None:
            if number < count:
                await self._register(word, accounts[number % len(accounts)], number, hook=first + number)

        await drive(Meter(warm_up=1, measured=count - 1), send, slots=self._ground.size.slots)

    async def _register(self, word: str, account: str, number: int, *, hook: int) -> None:
        body = {
            "job_id": name_job(number, word),
            "callback_url": self._ground.stub.hook(hook),
            "account_id": account,
            "timeout_seconds": OWN_DEADLINE_S,
        }
        async with self._session.post(f"{self._url}/v1/callbacks", json=body) as answer:
            assert answer.status == 201, await answer.text()
            await answer.read()

    async def wait_idle(self) -> None:
        """Wait until no delivery is due or in flight."""
        for state in ("pending", "in_flight"):
            while await self._list_deliveries(state):  # noqa: ASYNC110 -- another process sends
                await asyncio.sleep(QUIET_S)

    async def _list_deliveries(self, state: str) -> list[object]:
        async with self._session.get(f"{self._url}/v1/deliveries?state={state}&limit=1") as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["data"])


@asynccontextmanager
async def _running_service(ground: Ground) -> AsyncIterator[Service]:
    """Run the service, and yield a client of it."""
    with _running_up(ground) as port:
        async with bare_session(Authorization=f"Bearer {API_KEY}") as session:
            service = Service(ground, session, f"http://127.0.0.1:{port}")
            await service.wait_ready()
            yield service


@contextmanager
def _running_up(ground: Ground) -> Iterator[int]:
    """Run `reelbridge up` on all cores, with its own store in a folder of its own; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    scale = INTERVAL_S / KINDS["sync_job"].timing.interval_s
    environment = os.environ | make_environment(ground, "", poll_scale=scale)
    del environment["REELBRIDGE_REDIS_URL"], environment["REELBRIDGE_MASTER_KEYS"]
    environment |= {"REELBRIDGE_PORT": str(port), "REELBRIDGE_DATA_DIR": str(ground.folder / "up")}
    program = [str(Path(sys.executable).with_name("reelbridge")), "up"]
    with (
        (ground.folder / "up.log").open("wb") as log,
        subprocess.Popen(program, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield port
        finally:
            process.terminate()
            process.wait(STOP_S)

"""What every job queue under comparison is told to do, and the work of one of its jobs.

Each module `*_worker` beside this one is a program: `python -m tests.bench.queues.arq_worker seed` puts the errand's
jobs into an empty store, and `work` is one worker process. The errand is JSON in the environment.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Literal

import aiohttp

from bridge.config.gc_tuning import tune_gc
from tests.bench.signing import sign_delivery

What = Literal["polls", "deliveries"]
VARIABLE = "REELBRIDGE_BENCH_ERRAND"
DELAY_S = 1  # until a job's next poll; there are so many jobs that some are always due
LOGIN = {"Authorization": f"Bearer rm_{'a' * 32}", "Accept": "application/json"}
SEND = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
ENDED = ("completed", "failed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """`jobs` polls or deliveries, `slots` of them at a time."""

    what: What
    redis_url: str
    upstream: str
    hooks: list[str]
    jobs: int
    slots: int
    body: str

    @classmethod
    def read(cls) -> "Errand":
        """Return the errand of this process, and set the garbage collector as the bridge's worker does."""
        tune_gc()
        return cls(**json.loads(os.environ[VARIABLE]))

    def environment(self) -> dict[str, str]:
        """Return the variable that `read` reads."""
        return {VARIABLE: json.dumps(asdict(self))}

    def poll_url(self, number: int) -> str:
        """Return the address of a job that runs for ever."""
        return f"{self.upstream}/reelmirror/api/v1/sync-jobs/runs{number:032}"

    def hook(self, number: int) -> str:
        """Return one of the receivers' addresses."""
        return self.hooks[number % len(self.hooks)]


def has_ended(answer: bytes) -> bool:
    """Whether an upstream's answer shows a job's end."""
    return json.loads(answer)["data"]["status"] in ENDED


class AsyncClient:
    """Does the work of one job over kept connections."""

    def __init__(self, errand: Errand, session: aiohttp.ClientSession) -> None:
        self._errand = errand
        self._session = session

    async def poll(self, number: int) -> bool:
        """Read a job; returns whether it has ended."""
        url = self._errand.poll_url(number)
        async with self._session.get(url, headers=LOGIN, allow_redirects=False) as answer:
            body = await answer.read()
            assert answer.status == 200
        return has_ended(body)

    async def deliver(self, number: int, body: str) -> None:
        """Sign and post a delivery."""
        sent = body.encode()
        headers = SEND | sign_delivery(number, sent)
        url = self._errand.hook(number)
        async with self._session.post(url, data=sent, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            assert answer.status == 200


@asynccontextmanager
async def open_client(errand: Errand) -> AsyncIterator[AsyncClient]:
    """Open a session set up as that of the bare loops."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=15),
        headers={"user-agent": "queue"},
        trust_env=False,
    ) as session:
        yield AsyncClient(errand, session)

"""The bare loops that everything is compared with: the least that aiohttp needs for the same requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.bench.ground import Stub, name_job
from tests.bench.meter import Meter, Speed, drive
from tests.bench.signing import sign_delivery

LOGIN = {"Authorization": f"Bearer rm_{'a' * 32}"}


@asynccontextmanager
async def bare_session(**headers: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session set up as the bridge's own are: no limit, no cookies, no proxy."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=15),
        headers={"user-agent": "bare", **headers},
        trust_env=False,
    ) as session:
        yield session


async def read_bare(stub: Stub, meter: Meter, *, slots: int, jobs: int) -> Speed:
    """GET as many jobs' states, and do nothing with them."""
    async with bare_session(accept="application/json") as session:

        async def read(number: int) -> None:
            url = f"{stub.upstream}/reelmirror/api/v1/sync-jobs/{name_job(number % jobs)}"
            async with session.get(url, headers=LOGIN, allow_redirects=False) as answer:
                await answer.read()
                assert answer.status == 200

        return await drive(meter, read, slots=slots)


async def post_bare(stub: Stub, meter: Meter, *, slots: int, body: bytes) -> Speed:
    """Sign one body again and again and POST it to the receivers in turn."""
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    async with bare_session(**headers) as session:

        async def post(number: int) -> None:
            async with session.post(
                stub.hook(number), data=body, headers=sign_delivery(number, body), allow_redirects=False
            ) as answer:
                await answer.read()
                assert answer.status == 200

        return await drive(meter, post, slots=slots)

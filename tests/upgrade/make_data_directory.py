"""Make the data directory of the version before, with that version's own code: `python -m tests.upgrade.make_data_directory`.

It needs the repository's history, and the dependencies of today (the version before ran on the same).
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from redis.asyncio import Redis

from bridge.store.server.embedded import EmbeddedStore
from tests.e2e.processes import (
    Bridge,
    Process,
    Receiver,
    Simulator,
    bridge_env,
    free_port,
    running_simulator,
    until,
)
from tests.upgrade.version_before import (
    DATA_DIRECTORY,
    MANIFEST,
    MASTER_KEYS,
    RECEIVER,
    RECEIVER_HOST,
    RECEIVER_PORT,
    Entry,
    take_code,
)

FAR_MS = 4_102_444_800_000  # 2100-01-01: retention does not touch what lies here
OWN_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
TIMEOUT_S = 86_400  # longer than the making takes: a watched job must not have timed out
SETTINGS = {
    "REELBRIDGE_MASTER_KEYS": MASTER_KEYS,
    "REELBRIDGE_RETRY_SCHEDULE": "0.1,30,30",  # a waiting delivery is due half a minute later
}
WATCHED: dict[str, dict[str, Any]] = {
    "sync_job": {"metadata": {"order": "42"}, "payload": "full"},
    "generated_post": {"payload": "thin", "once": False},
    "generated_media_item": {"headers": {"x-own": "kept"}},
    "voice_conversion": {"payload": "flat"},
    "outgoing_post": {"secret": OWN_SECRET},
    "reelbot_video": {"payload": "cloudevents", "metadata": "text"},
}


@contextlib.asynccontextmanager
async def fixed_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver at the address that the data directory's callbacks name."""
    receiver = Receiver(url=RECEIVER)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, RECEIVER_HOST, RECEIVER_PORT).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()


def answer(status: int) -> Any:
    """Return a receiver's behaviour that always answers one status."""

    async def behave(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=status)

    return behave


async def fill(bridge: Bridge, simulator: Simulator, receiver: Receiver) -> list[Entry]:
    """Register callbacks in every state that outlives a stop."""
    entries = []
    for kind, options in WATCHED.items():
        made = "generated_media_item" if kind == "voice_conversion" else kind
        begin = {"set": {"voice_conversion_status": "processing"}} if kind == "voice_conversion" else {}
        job = await simulator.make(made, **begin)
        url = f"{RECEIVER}/watched/{kind}?token=kept"
        made_callback = await bridge.register(
            kind=kind, id=job, callback_url=url, timeout_seconds=TIMEOUT_S, **options
        )
        entries.append(entry("watched", kind, job, made_callback, f"/watched/{kind}?token=kept"))
    for state, status, wanted in (("waiting", 500, "pending"), ("parked", 403, "parked")):
        for number in range(3):
            path = f"/{state}/{number}"
            receiver.behaviours[path] = answer(status)
            job = await simulator.make("sync_job", set={"status": "completed"})
            callback = await bridge.register(job_id=job, callback_url=f"{RECEIVER}{path}")
            received = await receiver.wait(path, count=2)
            await until(partial(has_state, bridge, callback["id"], wanted))
            entries.append(entry(state, "sync_job", job, callback, path, received[0].event_id))
    for each in entries[: len(WATCHED)]:
        await until(partial(was_read, bridge, each.callback_id))
    return entries


def entry(state: str, kind: str, job: str, callback: dict[str, Any], path: str, event_id: str = "") -> Entry:
    """Return one line of the manifest."""
    return Entry(state=state, kind=kind, job_id=job, callback_id=callback["id"], path=path, event_id=event_id)


async def has_state(bridge: Bridge, callback: str, state: str) -> bool:
    """Return whether a callback's delivery has reached a state after two attempts."""
    _, body = await bridge.call("GET", f"/v1/deliveries?callback_id={callback}")
    return any(each["state"] == state and each["attempt_count"] == 2 for each in body["data"])


async def was_read(bridge: Bridge, callback: str) -> bool:
    """Return whether a callback's job has been read."""
    _, body = await bridge.call("GET", f"/v1/callbacks/{callback}/timeline")
    return bool(body["polls"])


async def put_off_retention(data_dir: Path) -> None:
    """Let nothing of the data directory ever be old enough to be removed: the tests that open it must not age."""
    socket = json.loads((data_dir / "store/valkey/server.json").read_text())["socket"]
    async with Redis(unix_socket_path=socket) as redis:
        for name in await redis.keys("*:ended"):
            for member in await redis.zrange(name, 0, -1):
                await redis.zadd(name, {member: FAR_MS})


async def shrink(data_dir: Path) -> None:
    """Let the store write its append-only file anew: without its history, and so without this host's name."""
    store = EmbeddedStore(data_dir)
    await store.start()
    async with Redis.from_url(store.url) as redis:
        await redis.bgrewriteaof()
        await until(lambda: is_rewritten(redis))
    await store.stop()


async def is_rewritten(redis: Redis) -> bool:
    """Return whether no rewriting is under way or about to begin."""
    facts = await redis.info("persistence")
    return not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]


async def make(folder: Path) -> None:
    """Run the version before until the data directory is as it should be, and keep it."""
    code = take_code(folder / "code")
    data_dir = folder / "data"
    with running_simulator() as simulator:
        port = free_port()
        env = {**bridge_env(simulator, data_dir, port, **SETTINGS), "PYTHONPATH": str(code)}
        up = Process(sys.executable, "-m", "bridge.cli.main", "up", env=env, cwd=code)
        up.wait_for("callback_url")
        bridge = Bridge(url=f"http://127.0.0.1:{port}", process=up, data_dir=data_dir)
        try:
            async with fixed_receiver() as receiver:
                entries = await fill(bridge, simulator, receiver)
            await put_off_retention(data_dir)
        finally:
            up.stop()
    await shrink(data_dir)
    MANIFEST.write_text(json.dumps([dataclasses.asdict(each) for each in entries], indent=1) + "\n")
    with tarfile.open(DATA_DIRECTORY, "w:gz") as tar:
        for path in sorted(data_dir.rglob("*")):
            if path.is_file() and path.suffix != ".log" and path.name != "server.json":
                tar.add(path, arcname=str(path.relative_to(folder)), filter=anonymous)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Keep nobody's name in the archive."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    os.environ.pop("REELBRIDGE_REDIS_URL", None)
    with tempfile.TemporaryDirectory() as where:
        asyncio.run(make(Path(where)))

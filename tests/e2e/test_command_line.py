"""The commands that call a bridge, as processes of their own against a running one."""

import asyncio
import json
import os
import pty
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator

pytestmark = pytest.mark.slow
COMMAND = str(Path(sys.executable).with_name("reelbridge"))
WITHIN_S = 90.0
SECRET = "whsec_" + "dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEhISE="


def environment(**chosen: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REELBRIDGE_")}
    return kept | {"REELBRIDGE_API_KEY": API_KEY, "PYTHONUNBUFFERED": "1", "TERM": "xterm"} | chosen


async def run(*words: str, **chosen: str) -> tuple[int, str, str]:
    """Run a command to its end; return its status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, *words, env=environment(**chosen), stdout=PIPE, stderr=PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


async def test_the_status_of_watch_tells_the_outcome(bridge: Bridge, simulator: Simulator) -> None:
    """A job that succeeds, one that fails, one that there is not; with --json one object, with the ending event."""
    good = await simulator.make("sync_job", script=[{"after_s": 1, "set": {"status": "completed"}}])
    bad = await simulator.make(
        "sync_job", script=[{"after_s": 1, "set": {"status": "failed", "error_message": "no such creator"}}]
    )
    at = ("--bridge", bridge.url)
    ends = await asyncio.gather(
        run("watch", "sync_job", good, "--json", *at),
        run("watch", "sync_job", bad, *at),
        run("watch", "sync_job", "cli-mistyped", *at),
    )
    assert [status for status, _, _ in ends] == [0, 3, 7]
    told = json.loads(ends[0][1])
    assert (told["job"]["ending"], told["event"]["outcome"]) == ("completed", "succeeded")
    assert f"✘ sync_job {bad}: failed (failed)" in ends[1][1]
    assert "not_found (unknown)" in ends[2][1]


async def test_watch_draws_a_bar_on_a_terminal(bridge: Bridge, simulator: Simulator) -> None:
    """To a hundred percent; the cursor is shown again, also after an interruption, which has its own status."""
    job = await simulator.make("sync_job", script=[{"after_s": 1, "set": {"status": "completed"}}])
    endless = await simulator.make("sync_job", script=[])
    status, shown = await watch_on_terminal(bridge, job)
    assert (status, "100 %" in shown, "✔ sync_job" in shown) == (0, True, True)
    status, shown = await watch_on_terminal(bridge, endless, until="usually")
    assert status == 130
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") > -1
    assert "Traceback" not in shown


async def watch_on_terminal(bridge: Bridge, job: str, *, until: str | None = None) -> tuple[int, str]:
    """Watch a job on a pseudo-terminal; interrupt it once a text is shown. Return its status and what was shown."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND, "watch", "sync_job", job, "--bridge", bridge.url,
        env=environment(COLUMNS="200"), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        async with asyncio.timeout(WITHIN_S):
            while data := await asyncio.to_thread(read_terminal, ours):
                shown += data
                if until is not None and until.encode() in shown:
                    process.send_signal(signal.SIGINT)
                    until = None
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
    return status, shown.decode()


def read_terminal(terminal: int) -> bytes:
    with suppress(OSError):  # EIO: the other end is closed
        return os.read(terminal, 65_536)
    return b""


class CuttingProxy:
    """Passes connections on to a bridge, and can cut them all."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self.taken = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()


@asynccontextmanager
async def cutting(bridge: Bridge) -> AsyncIterator[tuple[CuttingProxy, str]]:
    proxy = CuttingProxy(int(bridge.url.rpartition(":")[2]))
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    try:
        yield proxy, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        proxy.cut()
        server.close()


@asynccontextmanager
async def listening(url: str, to: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run `listen` and yield its output; end it as Ctrl-C does."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "listen", "--forward-to", to, "--bridge", url,
        env=environment(REELBRIDGE_SIGNING_SECRET=SECRET), stdout=PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), WITHIN_S) == 130
        rest = (await process.stdout.read()).decode()
        assert "go on from here with --after " in rest
        assert "Traceback" not in rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line_with(stream: asyncio.StreamReader, text: str) -> str:
    async with asyncio.timeout(WITHIN_S):
        while text not in (line := (await stream.readline()).decode()):
            assert line, f"it ended without {text}"
    return line


async def end_a_job(bridge: Bridge, simulator: Simulator) -> str:
    """Let a job end; return the id of its ending event."""
    job = await simulator.make("sync_job", set={"status": "completed"})
    async with asyncio.timeout(WITHIN_S):
        while True:
            _, told = await bridge.call("GET", f"/v1/jobs/sync_job/{job}?wait=10")
            if told.get("ending"):
                return str(told["event_id"])


async def test_listen_forwards_every_event_across_a_cut_and_what_is_resent(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Signed as a webhook is; an event of the time of the cut arrives too, and none twice unless it is resent."""
    async with cutting(bridge) as (proxy, url), listening(url, f"{receiver.url}/hook") as output:
        await line_with(output, "listening at")
        first = await end_a_job(bridge, simulator)
        await line_with(output, first)
        proxy.cut()
        second = await end_a_job(bridge, simulator)
        await line_with(output, second)
        status, _, _ = await run("events", "resend", second, "--bridge", bridge.url)
        assert status == 0
        assert "(resent)" in await line_with(output, second)
    ids = [each.event_id for each in receiver.got]
    assert (ids.count(first), ids.count(second)) == (1, 2)
    again = [each for each in receiver.got if each.headers.get("webhook-resend") == "true"]
    assert [each.event_id for each in again] == [second]
    for each in receiver.got:
        Webhook(SECRET).verify(each.body, each.headers)
        assert each.event["metadata"] is None
    assert proxy.taken == 2


async def test_lists_and_changes(bridge: Bridge, receiver: Receiver) -> None:
    """An endpoint is made, listed, tried and deleted; a slip in an id is no deletion; lists are JSON where asked for."""
    at = ("--bridge", bridge.url, "--json")

    async def ask(*words: str, expect: int = 0) -> Any:
        status, out, err = await run(*words, *at)
        assert status == expect, err
        return json.loads(out) if out else err

    made = await ask("endpoints", "create", f"{receiver.url}/cli", "--event", "reelbot_video.*")
    assert made["secret"].startswith("whsec_")
    then = ("--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00Z", "--bridge", bridge.url)
    listed, tried, nothing, slip, (_, recovered, _) = await asyncio.gather(
        ask("endpoints"),
        ask("endpoints", "test", made["id"]),
        ask("deliveries", "list", "--endpoint", made["id"]),
        ask("endpoints", "delete", "ep_nope", expect=1),
        run("deliveries", "recover", *then),
    )
    assert made["id"] in [each["id"] for each in listed["data"]]
    assert tried["delivered"] is True
    assert nothing == {"data": [], "next_cursor": None}
    assert "404" in slip
    assert "deliveries retry" in recovered, "who finds nothing parked learns where it waits"
    assert (await ask("endpoints", "delete", made["id"]))["deleted"] is True


async def test_a_bridge_that_refuses_or_talks_nonsense_is_told_in_a_line() -> None:
    """Status 1 and the reason; nothing is retried for ever."""

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "UNAUTHORIZED", "message": "no such key"}}, status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        at = ("--bridge", f"http://127.0.0.1:{runner.addresses[0][1]}")
        ends = await asyncio.gather(
            run("listen", "--forward-to", "http://127.0.0.1:1/", *at, REELBRIDGE_SIGNING_SECRET=SECRET),
            run("watch", "sync_job", "x", *at),
            run("events", "--bridge", "ftp://nowhere"),
        )
    finally:
        await runner.cleanup()
    assert [status for status, _, _ in ends] == [1, 1, 1]
    assert all("no such key" in err for _, _, err in ends[:2])
    assert "--bridge: write a whole URL" in ends[2][2]

"""`reelbridge up` as a newcomer meets it: all real processes, in an empty directory."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

# Three to six starts of Python a test, beside other tests on few cores: limits for a machine that is busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_S = 90.0


def clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REELBRIDGE_", "REELMIRROR_", "REELBOT_"))
    }


class Up:
    """A running `reelbridge up` and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def until(self, said: str, *, times: int = 1, seconds: float = PATIENCE_S) -> "re.Match[str]":
        """Wait until a pattern has been said so often; the last match."""
        async with asyncio.timeout(seconds):
            while len(found := list(re.finditer(said, self.text, re.MULTILINE))) < times:
                assert self.process.returncode is None, self.text
                await asyncio.sleep(0.02)
        return found[-1]

    async def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        status = await asyncio.wait_for(self.process.wait(), PATIENCE_S)
        await self._reading
        return status


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A way to run `up` in this test's directory, ended when the block ends."""

    @asynccontextmanager
    async def run(**environment: str) -> AsyncIterator[Up]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.cli.main", "up",
            cwd=tmp_path,
            env=clean_environment() | {"REELBRIDGE_PORT": "0", "REELBRIDGE_POLL_SCALE": "0.1"} | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        up = Up(process)
        try:
            yield up
        finally:
            await up.end()

    return run


def children_of(pid: int) -> dict[str, int]:
    """The processes that `up` has started, by the word that tells them apart."""
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found |= {word: int(entry.name) for word in ("api", "worker", "simulate", "valkey") if word in command.split("\0")[-1] or word in command}  # fmt: skip
    return found


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


async def wait_ended(pids: list[int]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110 -- other processes set no event here
            await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


async def paste(command: str, cwd: Path) -> Any:
    """What a shell and curl make of a line of the banner."""
    process = await asyncio.create_subprocess_shell(
        f"{command} --silent --show-error --max-time 20", cwd=cwd, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def test_the_first_screen_leads_to_a_signed_callback(start: Start, tmp_path: Path) -> None:
    """Nothing set: DEMO, a key made, and the pasted curl ends in a callback that is shown with its signature."""
    async with start() as up:
        await up.until(r"^reelbridge is up at .* DEMO$")
        curl = (await up.until(r"^  (curl -X POST .*)$"))[1]
        look = (await up.until(r"^  (curl \S+/v1/inbox .*)$"))[1]
        assert (await up.until(r"Signing secret +(whsec_\S+)"))[1]
        made = await paste(curl, tmp_path)
        assert made["id"].startswith("cb_"), made
        await up.until(r"inbox .*✔ sync_job\.completed  job demo-")
        await up.until(r"inbox .*webhook-signature: v1,")
        assert len((await paste(look, tmp_path))["data"]) == 1
        key = (tmp_path / "data/api-key").read_text().strip()
        assert key in up.text
    assert up.process.returncode == 0
    async with start() as again:
        curl = (await again.until(r"^  (curl -X POST .*)$"))[1]
        assert (await paste(curl, tmp_path))["id"].startswith("cb_")
        assert key not in again.text
        assert "in data/api-key" in again.text


async def test_every_child_that_is_killed_comes_back(start: Start) -> None:
    """kill -9 of API, worker, simulator and store: each is told and runs again, and the API answers."""
    async with start() as up:
        url = (await up.until(r"^reelbridge is up at (\S+)"))[1]
        before = children_of(up.process.pid)
        assert set(before) == {"api", "worker", "simulate", "valkey"}
        for name, pid in before.items():
            os.kill(pid, signal.SIGKILL)
            await up.until("store .* runs again" if name == "valkey" else f"{'simulator' if name == 'simulate' else name} was killed by signal 9")  # fmt: skip
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass  # the API is on its way back
                await asyncio.sleep(0.05)
        after = children_of(up.process.pid)
        assert set(after) == set(before)
        assert not set(after.values()) & set(before.values())


async def test_killed_with_minus_9_it_leaves_only_the_store_which_is_adopted(start: Start) -> None:
    """The children end by themselves, the next start takes over the store, its end leaves nothing."""
    async with start() as up:
        await up.until(r"^reelbridge is up at")
        left = children_of(up.process.pid)
        await up.end(signal.SIGKILL)
        await wait_ended([pid for name, pid in left.items() if name != "valkey"])
        assert is_alive(left["valkey"])
    async with start() as again:
        await again.until(r"^store .*\(was still running\)")
        await again.until(r"^reelbridge is up at")
        children = list(children_of(again.process.pid).values())
        assert await again.end(signal.SIGINT) == 0
    await wait_ended([left["valkey"], *children])


async def test_a_taken_port_is_told_before_anything_starts(start: Start, tmp_path: Path) -> None:
    """Status 1, the port and the setting; no store, no key."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with start(REELBRIDGE_PORT=str(port)) as up:
            assert await asyncio.wait_for(up.process.wait(), PATIENCE_S) == 1
    assert f"port {port} on 127.0.0.1 is taken" in up.text
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["up.lock"]


async def test_commands_beside_a_running_up(start: Start, tmp_path: Path) -> None:
    """Keys are made, listed and revoked; verify finds the secret; doctor is content; no process shows a key."""
    async with start() as up:
        port = (await up.until(r"^reelbridge is up at http://127\.0\.0\.1:(\d+)"))[1]

        async def run(*words: str, status: int = 0) -> str:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bridge.cli.main", *words,
                cwd=tmp_path, env=clean_environment() | {"REELBRIDGE_PORT": port, "COLUMNS": "200"},
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
            assert process.returncode == status, out
            return out.decode()

        made = (await run("keys", "create", "--name", "zap", "--scope", "read")).split()
        key_id, key = made[0], next(word for word in made if word.startswith("brk_"))
        listed = await run("keys", "list")
        assert "zap" in listed
        assert key_id in listed
        assert key not in listed
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            for status, words in ((200, ("keys", "revoke", key_id)), (401, ("keys", "list"))):
                async with session.get(f"http://127.0.0.1:{port}/v1/me") as answer:
                    assert answer.status == status
                await run(*words)
        assert "ok: the secret is well formed" in await run("verify", status=1)
        assert "is ready and knows the API key" in await run("doctor")
        keys = [(tmp_path / "data" / name).read_text().strip() for name in ("api-key", "master-keys")]
        for pid in children_of(up.process.pid).values():
            assert not any(key in arguments_of(pid) for key in keys)

"""`reelbridge up` with real processes, started in an empty directory."""

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

# Each test starts three to six Python processes, beside other tests on few cores: the limits suit a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TIMEOUT_S = 90.0


def clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REELBRIDGE_", "REELMIRROR_", "REELBOT_"))
    }


class Up:
    """A running `reelbridge up` and its output so far."""

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

    async def until(self, said: str, *, times: int = 1, seconds: float = TIMEOUT_S) -> "re.Match[str]":
        """Wait until a pattern has been printed `times` times; return the last match."""
        async with asyncio.timeout(seconds):
            while len(found := list(re.finditer(said, self.text, re.MULTILINE))) < times:
                assert self.process.returncode is None, self.text
                await asyncio.sleep(0.02)
        return found[-1]

    async def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        status = await asyncio.wait_for(self.process.wait(), TIMEOUT_S)
        await self._reading
        return status


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a context manager that runs `up` in this test's directory and ends it with the block."""

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
    """Return the ids of the processes that `up` has started, by their names."""
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
    async with asyncio.timeout(TIMEOUT_S):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110 -- other processes set no event here
            await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


async def paste(command: str, cwd: Path) -> Any:
    """Run a command of the banner in a shell and return the JSON that curl prints."""
    process = await asyncio.create_subprocess_shell(
        f"{command} --silent --show-error --max-time 20", cwd=cwd, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def test_the_first_screen_leads_to_a_signed_callback(start: Start, tmp_path: Path) -> None:
    """With nothing set, DEMO starts with a new key, and the pasted curl leads to a signed callback on the screen."""
    async with start() as up:
        await up.until(r"^reelbridge is up at .* DEMO$")
        curl = (await up.until(r"^  (curl -X POST .*)$"))[1]
        check = (await up.until(r"^  (curl \S+/v1/inbox .*)$"))[1]
        assert (await up.until(r"Signing secret +(whsec_\S+)"))[1]
        made = await paste(curl, tmp_path)
        assert made["id"].startswith("cb_"), made
        await up.until(r"inbox .*✔ sync_job\.completed  job demo-")
        await up.until(r"inbox .*webhook-signature: v1,")
        assert len((await paste(check, tmp_path))["data"]) == 1
        key = (tmp_path / "data/api-key").read_text().strip()
        assert key in up.text
    assert up.process.returncode == 0
    async with start() as again:
        curl = (await again.until(r"^  (curl -X POST .*)$"))[1]
        assert (await paste(curl, tmp_path))["id"].startswith("cb_")
        assert key not in again.text
        assert "in data/api-key" in again.text


async def test_every_child_that_is_killed_comes_back(start: Start) -> None:
    """After kill -9 of API, worker, simulator and store each death is reported, and all run again."""
    async with start() as up:
        url = (await up.until(r"^reelbridge is up at (\S+)"))[1]
        before = children_of(up.process.pid)
        assert set(before) == {"api", "worker", "simulate", "valkey"}
        for name, pid in before.items():
            os.kill(pid, signal.SIGKILL)
            await up.until("store .* runs again" if name == "valkey" else f"{'simulator' if name == 'simulate' else name} was killed by signal 9")  # fmt: skip
        async with asyncio.timeout(TIMEOUT_S), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass  # the API is being restarted
                await asyncio.sleep(0.05)
        after = children_of(up.process.pid)
        assert set(after) == set(before)
        assert not set(after.values()) & set(before.values())


async def test_killed_with_minus_9_it_leaves_only_the_store_which_is_adopted(start: Start) -> None:
    """The children end by themselves, the next start takes over the store, and its end leaves no process."""
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


async def test_a_port_in_use_is_reported_before_anything_starts(start: Start, tmp_path: Path) -> None:
    """Status 1 and the port; neither a store nor a key is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with start(REELBRIDGE_PORT=str(port)) as up:
            assert await asyncio.wait_for(up.process.wait(), TIMEOUT_S) == 1
    assert f"port {port} on 127.0.0.1 is taken" in up.text
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["up.lock"]


async def test_commands_beside_a_running_up(start: Start, tmp_path: Path) -> None:
    """Keys are created, listed and revoked, verify finds the secret, doctor finds nothing wrong, no command line holds a key."""
    async with start() as up:
        port = (await up.until(r"^reelbridge is up at http://127\.0\.0\.1:(\d+)"))[1]

        async def run(*words: str, status: int = 0) -> str:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bridge.cli.main", *words,
                cwd=tmp_path, env=clean_environment() | {"REELBRIDGE_PORT": port, "COLUMNS": "200"},
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
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
        assert f"there is no key {key_id}" in await run("keys", "revoke", key_id, status=1)
        assert "ok: the secret is well formed" in await run("verify", status=1)
        assert "is ready and knows the API key" in await run("doctor")
        keys = [(tmp_path / "data" / name).read_text().strip() for name in ("api-key", "master-keys")]
        for pid in children_of(up.process.pid).values():
            assert not any(key in arguments_of(pid) for key in keys)

"""The embedded store under `up`."""

import asyncio
from pathlib import Path

import pytest

from bridge.cli.supervisor import store_process
from bridge.cli.supervisor.store_process import running_store
from bridge.config.settings import Settings
from bridge.store.server.sockets import ask


async def test_a_store_whose_rewrites_cannot_be_slowed_down_runs_and_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator is told, and nothing is left running."""
    told: list[str] = []
    was_told = asyncio.Event()

    async def fail(_: Path) -> None:
        raise RuntimeError("can't start new thread")

    def write_line(_: str, line: str) -> None:
        told.append(line)
        if "RuntimeError" in line:
            was_told.set()

    monkeypatch.setattr(store_process, "lower_rewrites", fail)
    settings = Settings(data_dir=tmp_path / "data", _env_file=None)
    async with running_store(settings, write_line=write_line, stop=asyncio.Event()) as url:
        await asyncio.wait_for(was_told.wait(), 10)
        socket = Path(url.removeprefix("unix://"))
        assert await ask(socket, "PING") == "+PONG"
    assert await ask(socket, "PING") is None

"""The bridge's processes import the bridge's modules, whatever the current directory holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bridge
import workers
from bridge.cli.commands.processes import run_worker
from bridge.cli.supervisor.process_plan import own_command
from bridge.config.settings import load_settings

MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PROGRAM = "import bridge, workers; print(bridge.__file__, workers.__file__)"


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """Return a directory with other modules that have the names of ours."""
    (tmp_path / "workers.py").write_text("")
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge" / "__init__.py").write_text("")
    return tmp_path


def find_modules(options: list[str], directory: Path) -> str:
    """Return the files from which an interpreter with these options imports our modules."""
    done = subprocess.run(
        [sys.executable, *options, "-c", PROGRAM], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


OURS = f"{bridge.__file__} {workers.__file__}"


def test_up_starts_our_own_commands(strange: Path) -> None:
    """A folder `bridge` in the current directory of `up` is not imported, so it never sees the keys."""
    command = own_command("worker")
    assert command[-3:] == ["-m", "bridge.cli.main", "worker"]
    assert find_modules(command[1:-3], strange) == OURS


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the worker replaces no process")
def test_the_worker_becomes_our_own(strange: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file `workers.py` in the worker's current directory is not run, so it never sees the master keys."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, words: calls.append(words))
    monkeypatch.setattr("runpy.run_module", lambda *_, **__: None)  # the real execv would not return
    run_worker(load_settings(_env_file=None, redis_url="redis://127.0.0.1:9/0", master_keys=MASTER_KEY))
    [words] = calls
    assert words[-2:] == ["-m", "workers"]
    assert find_modules(words[1:-2], strange) == OURS

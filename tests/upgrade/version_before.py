"""The version before this one: its data directory, and its code taken out of the repository's history.

`data_directory.tar.gz` is what the last commit of version 0.1.0 left behind. To make it again, run from the project's root
`python -m tests.upgrade.make_data_directory`.
"""

import contextlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import Process

COMMIT = "c849a3c05677fab431514022999d18a1e07347d5"  # the last commit of version 0.1.0
ROOT = Path(__file__).parents[2]
DATA_DIRECTORY = Path(__file__).with_name("data_directory.tar.gz")
MANIFEST = Path(__file__).with_name("data_directory.json")

# Callback URLs are part of the data, so the receiver has a fixed address: one of loopback's that nothing else uses.
RECEIVER_HOST = "127.83.7.11"
RECEIVER_PORT = 18473
RECEIVER = f"http://{RECEIVER_HOST}:{RECEIVER_PORT}"
MASTER_KEYS = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One callback of the data directory: where it stands, and how its job is known upstream."""

    state: str  # "watched", "waiting" (its delivery is tried again), "parked"
    kind: str
    job_id: str
    callback_id: str
    path: str
    event_id: str  # of the delivery, or empty while the job is watched

    @classmethod
    def read_all(cls) -> list["Entry"]:
        """Return what the manifest lists."""
        return [cls(**each) for each in json.loads(MANIFEST.read_text())]


def has_history() -> bool:
    """Return whether the repository holds the commit; a copy without history does not."""
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{COMMIT}^{{commit}}"], cwd=ROOT, capture_output=True, check=False
    )
    return found.returncode == 0


def take_code(folder: Path) -> Path:
    """Write the version's packages into a folder and return it."""
    archive = subprocess.run(
        ["git", "archive", COMMIT, "bridge", "workers", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def unpack_data(folder: Path) -> Path:
    """Unpack the data directory into a folder and return its path."""
    with tarfile.open(DATA_DIRECTORY) as tar:
        tar.extractall(folder, filter="data")
    return folder / "data"


@contextlib.contextmanager
def running_worker_before(folder: Path, env: dict[str, str]) -> Iterator[Process]:
    """Run a worker of the version before."""
    code = take_code(folder)
    process = Process(sys.executable, "-m", "workers", env={**env, "PYTHONPATH": str(code)}, cwd=code)
    try:
        process.wait_for("worker.ready")
        yield process
    finally:
        process.stop()

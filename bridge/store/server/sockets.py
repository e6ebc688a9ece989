"""Choose the path of the embedded store's socket, and send it simple commands without a client."""

import asyncio
import hashlib
import os
import stat
import tempfile
from pathlib import Path

PATH_BYTES = 103  # sun_path has 104 on macOS, one of them the closing NUL
ANSWER_TIMEOUT_S = 5.0


class SocketPlaceError(RuntimeError):
    """There is no place for a socket; the message says what to change."""


def choose_socket(directory: Path, *, runtime_dir: Path | None = None) -> Path:
    """Return a path beside the data, or in a short private directory if that path is too long for a socket."""
    beside = directory / "s.sock"
    if len(os.fsencode(beside)) <= PATH_BYTES:
        return beside
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16] + ".sock"
    for parent in [runtime_dir] if runtime_dir is not None else _short_directories():
        short = parent / name
        if len(os.fsencode(short)) <= PATH_BYTES:
            _make_private(parent)
            return short
    raise SocketPlaceError(
        f"the path of {directory} is too long for a socket: set REELBRIDGE_DATA_DIR (or TMPDIR) to a shorter one"
    )


def _short_directories() -> list[Path]:
    mine = f"reelbridge-{os.getuid()}"
    given = os.environ.get("XDG_RUNTIME_DIR")
    ours = [Path(given) / "reelbridge"] if given else []
    return [*ours, Path(tempfile.gettempdir()) / mine, Path("/tmp") / mine]  # noqa: S108 -- made private below


def _make_private(directory: Path) -> None:
    """Create a directory that only this user can enter; raise an error for one that others can."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise SocketPlaceError(f"{directory} is not private to this user: remove it, then start again")


async def ask(socket: Path, command: str) -> str | None:
    """Send a command and return the first line of the answer, None without one."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(f"{command}\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None
    return line.decode("utf-8", "replace").strip() or None


async def wait_closed(socket: Path) -> None:
    """Return when the server has closed the connection or has ended."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return
    try:
        while await reader.read(1024):
            pass
    except OSError:
        return
    finally:
        writer.close()

"""The small files beside an engine's data: which version wrote them, and where the server listens."""

import fcntl
import json
import os
from pathlib import Path

from bridge.store.server.engines import Engine
from bridge.store.server.errors import EmbeddedStoreError

AOF_DIRECTORY = "appendonlydir"


def check_history(directory: Path, engine: Engine) -> None:
    """Raise `EmbeddedStoreError` rather than begin empty beside another engine's data."""
    if (directory / AOF_DIRECTORY).exists():
        return
    root = directory.parent
    others = [path.name for path in root.iterdir() if path != directory and (path / AOF_DIRECTORY).exists()]
    if others:
        raise EmbeddedStoreError(
            f"{root} holds data of {', '.join(others)}, which {engine} would not see: make"
            f" {others[0]} available again, or set REELBRIDGE_DATA_DIR to a new directory to begin empty"
        )


def check_marker(directory: Path, engine: Engine) -> None:
    """Raise `EmbeddedStoreError` for data that have vanished, or that a newer version wrote."""
    marker = read_marker(directory, "engine.json")
    if marker is None:
        return
    if not any((directory / AOF_DIRECTORY).glob("*.manifest")):
        raise EmbeddedStoreError(
            f"the data that were in {directory} are gone: restore {AOF_DIRECTORY} from a backup, or remove"
            f" {directory / 'engine.json'} to begin empty"
        )
    version = marker.get("version")
    written_by = tuple(version) if isinstance(version, list) else ()
    if written_by[:2] > engine.version[:2]:
        newer = ".".join(str(part) for part in written_by)
        raise EmbeddedStoreError(
            f"{directory} was written by {engine.name} {newer} and {engine} may not read it: install the"
            " newer version again"
        )


def is_in_use(directory: Path) -> bool:
    """Whether a server runs on an engine's directory: it holds the lock as long as it lives."""
    try:
        with (directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_marker(directory: Path, name: str) -> dict[str, object] | None:
    """Return the content of a small file, None when it is absent or cannot be read."""
    try:
        found = json.loads((directory / name).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_marker(directory: Path, name: str, content: dict[str, object]) -> None:
    """Replace a small file in one step, so that kill -9 leaves the old or the new one."""
    fresh = directory / f"{name}.new"
    with open(fresh, "w", opener=open_private) as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / name)


def open_private(path: str, flags: int) -> int:
    """Open a file that only this user may read; an `opener` for `open`."""
    return os.open(path, flags, 0o600)

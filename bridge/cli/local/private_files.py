"""Keep the data directory to this user: it holds keys, and the store's files with everything in them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bridge.cli.local.errors import CommandError
from bridge.cli.local.key_files import API_KEY_FILE, MASTER_KEYS_FILE

STORE = "store"
LOCK = "up.lock"
OTHERS = 0o077  # what group and others may do
_OURS = frozenset({STORE, LOCK, API_KEY_FILE, MASTER_KEYS_FILE})
_HARMLESS = frozenset({"lost+found"})


def close_to_others(data_dir: Path) -> list[str]:
    """Take from group and others what they may do with the data directory and with what `up` keeps there.

    Return a line for each path at the top that was open. Raise `CommandError` when it cannot be closed, or must not be
    because it holds other things too. Links are not followed.
    """
    said = []
    for path in list_open(data_dir):
        if path == data_dir:
            _refuse_shared(data_dir)
        mode = stat.S_IMODE(path.stat().st_mode)
        _close(path, mode)
        if data_dir in (path, path.parent):
            said.append(f"{path} was open to other users of this machine (mode {mode:04o}) and is closed now")
    return said


def list_open(data_dir: Path) -> list[Path]:
    """Return the data directory and our files in it that others may read, write or enter; outermost first."""
    return [path for path in _list_files(data_dir) if path.stat().st_mode & OTHERS]


def _list_files(data_dir: Path) -> Iterator[Path]:
    if not data_dir.is_dir():
        return
    yield data_dir
    for name in sorted(_OURS):
        path = data_dir / name
        if path.exists() and not path.is_symlink():
            yield path
    for folder, folders, files in os.walk(data_dir / STORE):
        for path in (Path(folder) / name for name in [*folders, *files]):
            if stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFDIR, stat.S_IFREG):
                yield path


def _refuse_shared(data_dir: Path) -> None:
    foreign = sorted(
        path.name
        for path in data_dir.iterdir()
        if path.name.removesuffix(".new") not in _OURS | _HARMLESS and not path.name.startswith(".")
    )
    if foreign:
        raise CommandError(
            f"{data_dir} is open to other users of this machine, and holds other things too, such as {foreign[0]}:"
            f" set REELBRIDGE_DATA_DIR to a directory of its own, such as {data_dir / 'reelbridge'}, or close this one"
            f" with `chmod 700 '{data_dir}'`"
        )


def _close(path: Path, mode: int) -> None:
    try:
        path.chmod(mode & ~OTHERS)
        closed = not path.stat().st_mode & OTHERS
    except OSError:
        closed = False
    if not closed:
        raise CommandError(
            f"{path} is open to other users of this machine (mode {mode:04o}) and cannot be closed: run"
            f" `chmod go-rwx '{path}'` as its owner, or set REELBRIDGE_DATA_DIR to a directory inside of it that"
            " `reelbridge up` may make"
        )

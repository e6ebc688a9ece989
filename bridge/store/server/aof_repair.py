"""Cut a damaged tail off the embedded store's append-only files, after keeping a copy of them."""

import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.domain.counts import say_count
from bridge.store.server.aof import MANIFEST, Damage, find_damage
from bridge.store.server.errors import EmbeddedStoreError

COPIES = "damaged-"
STAMP = "%Y%m%dT%H%M%SZ"
COPIES_KEPT = 3
COPIES_KEPT_S = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What was cut off, and the directory that holds the files as they were."""

    file: Path
    cut_bytes: int
    copy: Path

    def __str__(self) -> str:
        """Describe it to the operator."""
        return (
            f"{self.file.name} ended in {say_count(self.cut_bytes, 'byte that was', 'bytes that were')} no whole command, as"
            f" after a power cut: this tail was cut off. The files as they were are in {self.copy}: remove them when you do"
            " not need them (after"
            f" {COPIES_KEPT_S // 86_400} days all but the newest {COPIES_KEPT} copies are removed)"
        )


def mend(directory: Path) -> Repair | None:
    """Cut a damaged tail off the files of an append-only directory; return None when they are whole.

    Raise `EmbeddedStoreError` when they are damaged elsewhere, or cannot be copied first.
    """
    damage = find_damage(directory)
    if damage is None:
        return None
    if not damage.is_tail:
        raise EmbeddedStoreError(explain_damage(damage))
    try:
        return cut_tail(directory, damage)
    except OSError as error:
        raise EmbeddedStoreError(
            f"{damage.file} is damaged at its end and must be copied before it is cut, which failed"
            f" ({error.strerror}): make room on that disk; nothing was changed"
        ) from None


def explain_damage(damage: Damage) -> str:
    """Return what damage means that nothing is cut off for, and what can be done."""
    commands = [f"truncate -s {damage.offset} '{damage.file}'"]
    commands += [f"truncate -s 0 '{file}'" for file in damage.later]
    return (
        f"{damage.file} is damaged at byte {damage.offset:,}, and whole commands follow, so that to cut it there would"
        f" lose what was accepted: restore {damage.file.parent} from a backup. To go on without the"
        f" {say_count(damage.lost_bytes, 'byte')} from there on, make a copy of the data directory, then run:"
        f" {'; '.join(commands)}"
    )


def cut_tail(directory: Path, damage: Damage) -> Repair:
    """Cut what cannot be loaded, and return what was done; the copy is on disk before anything is changed.

    `directory` is the append-only directory; the copy is put beside it. Later incremental files are emptied: they
    rest on what is missing. Raise `OSError` when there is no room for the copy; then nothing was changed.
    """
    copy = _make_copy(directory, damage)
    for file in reversed(damage.later):
        _truncate(file, 0)
    _truncate(damage.file, damage.offset)
    return Repair(file=damage.file, cut_bytes=damage.lost_bytes, copy=copy)


def list_copies(store_directory: Path) -> list[Path]:
    """Return the copies that earlier repairs have kept, oldest first."""
    return sorted(path for path in store_directory.glob(f"{COPIES}*") if path.is_dir())


def remove_old_copies(store_directory: Path, *, now_s: float) -> list[Path]:
    """Remove the copies that are older than 30 days, except for the newest three; return those that were removed.

    A copy's age is that of the time in its name; a directory whose name shows none is no copy of ours.
    """
    dated = [
        (made_s, copy) for copy in list_copies(store_directory) if (made_s := _read_time(copy)) is not None
    ]
    spare = sorted(dated)[:-COPIES_KEPT]
    old = [copy for made_s, copy in spare if now_s - made_s > COPIES_KEPT_S]
    for copy in old:
        shutil.rmtree(copy, ignore_errors=True)  # what stays is tried again at the next start
    return old


def _read_time(copy: Path) -> float | None:
    stamp = copy.name.removeprefix(COPIES).partition("-")[0]
    try:
        return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _make_copy(directory: Path, damage: Damage) -> Path:
    stamp = time.strftime(STAMP, time.gmtime())
    copy, number = directory.parent / f"{COPIES}{stamp}", 1
    while copy.exists():
        number += 1
        copy = directory.parent / f"{COPIES}{stamp}-{number}"
    copy.mkdir(mode=0o700)
    try:
        for file in (directory / MANIFEST, damage.file, *damage.later):
            shutil.copy2(file, copy / file.name)
            _sync(copy / file.name)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    _sync(copy)
    _sync(copy.parent)
    return copy


def _truncate(file: Path, size: int) -> None:
    os.truncate(file, size)
    _sync(file)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

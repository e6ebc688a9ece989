"""Read the append-only files of the embedded store, to find where a power cut has damaged them.

A directory holds a manifest, one base file and one or more incremental files, which the server loads in this order. An
incremental file is a sequence of commands as clients send them (RESP arrays of bulk strings); what lies between MULTI
and EXEC counts as one command, because half of a transaction must not be loaded. Format: valkey.io, "Persistence";
src/aof.c in the server's source.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DamageKind = Literal["cut", "zeros", "garbage"]
MANIFEST = "appendonly.aof.manifest"
# What is written between two syncs of the disk, which come every second or two, is far less than this.
UNSYNCED_BYTES = 4 << 20
ZEROS = bytes(512)  # a disk's sector

_ARRAY = re.compile(rb"\*([1-9]\d{0,9})\r\n")
_BULK = re.compile(rb"\$(\d{1,10})\r\n")
_CUT_HEADER = re.compile(rb"[*$]?\d{0,10}\r?")
_COMMENT = re.compile(rb"#[^\n]{0,126}\n")
_WHOLE_START = re.compile(rb"\*[1-9]\d{0,5}\r\n\$\d{1,5}\r\n[A-Za-z]")
_HEADER_BYTES = 16


class Malformed(Exception):
    """No whole command begins at the place `at` of a file."""

    def __init__(self, kind: DamageKind, at: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The place of the first damage. What begins at `offset` of `file`, and all `later` files, cannot be loaded.

    `lost_bytes` counts both. `whole_after` says that they hold whole commands too.
    """

    file: Path
    offset: int
    kind: DamageKind
    lost_bytes: int
    whole_after: bool
    later: tuple[Path, ...] = ()

    @property
    def is_tail(self) -> bool:
        """Whether this is what a power cut leaves, so that nothing before it was lost and nothing after it was synced.

        The system writes a file's blocks in any order. Whole commands behind a hole of zeros or a cut one therefore
        count as never synced, as long as there are no more of them than are written between two syncs.
        """
        return not self.whole_after or (self.kind != "garbage" and self.lost_bytes <= UNSYNCED_BYTES)


def find_damage(directory: Path) -> Damage | None:
    """Return the first damage in the incremental files of an append-only directory, None when all can be read.

    A base file is not looked at: it is synced before the manifest names it. Raise `OSError` for a file that cannot be
    read.
    """
    files = list_incremental(directory)
    for number, file in enumerate(files):
        later = tuple(files[number + 1 :])
        if (damage := _check_file(file, later)) is not None:
            return damage
    return None


def list_incremental(directory: Path) -> list[Path]:
    """Return the incremental files in the order of their loading, as the manifest names them."""
    try:
        lines = (directory / MANIFEST).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    fields = [line.split() for line in lines]
    names = [line[1] for line in fields if line[:1] == ["file"] and line[4:6] == ["type", "i"]]
    return [directory / name for name in names if "/" not in name and (directory / name).is_file()]


def _check_file(file: Path, later: tuple[Path, ...]) -> Damage | None:
    size = file.stat().st_size
    if size == 0:
        return None
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        whole = 0
        try:
            for end in _units(data):
                whole = end
        except Malformed as bad:
            filled = [each for each in later if each.stat().st_size]
            return Damage(
                file=file,
                offset=whole,
                kind=bad.kind,
                lost_bytes=size - whole + sum(each.stat().st_size for each in filled),
                whole_after=bool(filled) or _has_whole(data, bad.at + 1),
                later=tuple(filled),
            )
    return None


def _units(data: mmap.mmap) -> Iterator[int]:
    """Yield the end of each command, or of each whole transaction; raise `Malformed` for what follows the last one."""
    at, size, in_transaction = 0, len(data), False
    while at < size:
        if (
            comment := _COMMENT.match(data, at)
        ) is not None:  # a time, where the server was told to write some
            at = comment.end()
        else:
            at, name = _read_command(data, at)
            if name == b"multi":
                in_transaction = True
            elif name == b"exec":
                in_transaction = False
        if not in_transaction:
            yield at
    if in_transaction:
        raise Malformed("cut", size)


def _read_command(data: mmap.mmap, start: int) -> tuple[int, bytes]:
    """Return the end of the command that begins at `start`, and its name in lower case."""
    size, name = len(data), b""
    if (head := _ARRAY.match(data, start)) is None:
        raise _malformed(data, start, start)
    at = head.end()
    for number in range(int(head[1])):
        if (bulk := _BULK.match(data, at)) is None:
            raise _malformed(data, start, at)
        begin, at = bulk.end(), bulk.end() + int(bulk[1])
        if at + 2 > size:
            raise Malformed("cut", start)
        if data[at : at + 2] != b"\r\n":
            raise _malformed(data, start, at)
        if number == 0:
            name = data[begin : min(at, begin + _HEADER_BYTES)].lower()
        at += 2
    return at, name


def _malformed(data: mmap.mmap, start: int, at: int) -> Malformed:
    """Return the error for a command that begins at `start` and cannot be read on from `at`."""
    rest = data[at : at + len(ZEROS)]
    if len(rest) < _HEADER_BYTES and _CUT_HEADER.fullmatch(rest):
        return Malformed("cut", start)
    # A hole may begin inside of a value, whose end is then the first place that can be seen to be wrong.
    has_hole = not rest.strip(b"\0") or data.find(ZEROS, start, at + len(ZEROS)) >= 0
    return Malformed("zeros" if has_hole else "garbage", start)


def _has_whole(data: mmap.mmap, at: int) -> bool:
    """Whether a whole command begins anywhere behind `at`."""
    for start in _WHOLE_START.finditer(data, at):
        try:
            _read_command(data, start.start())
        except Malformed:
            continue
        return True
    return False

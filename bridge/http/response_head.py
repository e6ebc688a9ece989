"""The head of a response as bytes: where it ends, which status it has, and how to put it right for a strict parser.

Receivers and upstreams send heads that RFC 9112 does not allow and that common clients read all the same: the same
Content-Length twice, a field of 9 KB, a line that is no field. A parser that refuses such a head would lose the status
and with it the fact that the receiver has the event.
"""

import re
from collections.abc import Sequence

from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

MAX_INFORMATIONAL = 16
MAX_HEAD_BYTES = 64 * 1024
MAX_FIELD_BYTES = 8190  # what the parser takes; longer fields mean nothing to us and are left out
SWITCHING = 101
STATUS_BYTES = 32  # a status stands in the first bytes of a response
_LINE_ENDS = re.compile(rb"[\r\n]*")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"HTTP/\d{1,3}(?:\.\d{1,3})?[ \t]+(\d{3})(?=[ \t\r\n])")
_BEGINNING = b"HTTP/"
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_WELL_FORMED = re.compile(
    rb"HTTP/1\.[01] \d{3}(?: [^\r\n\0]*+)?\r\n(?:" + _TOKEN + rb":[^\r\n\0]*+\r\n)*+\r\n"
)
_NAME = re.compile(_TOKEN)
_ONE_LENGTH = re.compile(rb"\ncontent-length:[ \t]*\d+[ \t]*\r")
_LENGTH, _CODING, _CONNECTION = b"content-length", b"transfer-encoding", b"connection"
# Where there are more fields than the parser takes, those that something depends on are kept before the others.
_READ_FIELDS = frozenset(
    (_LENGTH, _CODING, _CONNECTION, b"content-type", b"content-encoding", b"keep-alive", b"retry-after")
)

Field = tuple[bytes, bytes]


class HeadError(HttpProcessingError):
    """What arrived is no head of HTTP, or too large, or one informational head too many."""


class HeadReader:
    """Collects what arrives until the final head is whole; the informational ones before it count towards its size."""

    def __init__(self, *, max_headers: int) -> None:
        self._max_headers = max_headers
        self._received = bytearray()
        self._heads = 0
        self._at = 0  # where the head begins that is awaited
        self._searched = 0  # up to where it was looked for its end
        self._final_head = b""

    @property
    def is_done(self) -> bool:
        """Return whether the final head was whole: what comes from now on is its body."""
        return bool(self._final_head)

    def feed(self, data: bytes) -> bytes:
        """Return the heads that are whole now, put right, and what follows the final one.

        Raise `HeadError` where no final head can follow.
        """
        is_first = not self._received
        self._received += data
        ready: list[bytes] = []
        while (head := self._next_head()) is not None:
            status = read_status(head)
            if status is None:
                raise HeadError(message="no status")
            ready.append(normalise_head(head, status, max_headers=self._max_headers))
            if is_final(status):
                self._final_head = head
                if not (is_first and ready == [head]):
                    ready.append(bytes(self._received[self._at :]))
                    data = b"".join(ready)
                self._received.clear()
                return data
        return b"".join(ready)

    def _next_head(self) -> bytes | None:
        received = self._received
        line_ends = _LINE_ENDS.match(received, self._at)
        self._at = line_ends.end() if line_ends else self._at
        found = _BLANK_LINE.search(received, max(self._at, self._searched))
        self._searched = found.end() if found else max(len(received) - 2, 0)
        if (found.end() if found else len(received)) > MAX_HEAD_BYTES:
            raise HeadError(message="too large")
        if found is None:
            if not _may_be_head(bytes(received[self._at : self._at + STATUS_BYTES])):
                raise HeadError(message="not HTTP")
            return None
        self._heads += 1
        if self._heads > MAX_INFORMATIONAL + 1:
            raise HeadError(message="too many heads")
        head = bytes(received[self._at : found.end()])
        self._at = found.end()
        return head

    def read_begun(self) -> tuple[int, CIMultiDictProxy[str]] | None:
        """Return status and fields of the final head as far as it has arrived; None before its status."""
        head = self._final_head or bytes(self._received[self._at :])
        status = read_status(head)
        return (status, _read_fields(head)) if status is not None and is_final(status) else None


def is_final(status: int) -> bool:
    """Return whether no other response follows this status (RFC 9110, section 15.2)."""
    return not 100 <= status < 200 or status == SWITCHING


def read_status(head: bytes) -> int | None:
    """Return the status of a head that may be incomplete; None if it is not HTTP, or before all three digits came."""
    found = _STATUS.match(head)
    return int(found[1]) if found and int(found[1]) >= 100 else None


def normalise_head(head: bytes, status: int, *, max_headers: int) -> bytes:
    """Return a whole head as a strict parser takes it: the same bytes if they are well-formed and not long.

    Otherwise what is no field and what is longer than `MAX_FIELD_BYTES` is left out, of repeated lengths the first
    counts, and none where the body comes in chunks (RFC 9112, section 6.3). After a head that was not well-formed the
    connection is not kept: where its body ends is a guess.
    """
    lower = head.lower()
    is_well_formed = _WELL_FORMED.fullmatch(head) is not None and _has_one_framing(lower)
    if is_well_formed and len(head) <= MAX_FIELD_BYTES and head.count(b"\n") <= max_headers:
        return head
    fields = [field for field in _split(head) if len(field[0]) + len(field[1]) < MAX_FIELD_BYTES]
    if not is_well_formed:
        fields = [*_one_framing(fields), (_CONNECTION, b"close")]
    fields.sort(key=lambda field: not _is_read(field[0].lower()))
    version = b"1.0" if head.startswith(b"HTTP/1.0") else b"1.1"
    lines = [b"HTTP/%s %d " % (version, status), *(b"%s: %s" % field for field in fields[:max_headers])]
    return b"\r\n".join([*lines, b"", b""])


def _read_fields(head: bytes) -> CIMultiDictProxy[str]:
    fields = ((name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in _split(head))
    return CIMultiDictProxy(CIMultiDict(fields))


def _may_be_head(beginning: bytes) -> bool:
    if len(beginning) == STATUS_BYTES:
        return read_status(beginning) is not None
    return beginning[: len(_BEGINNING)] == _BEGINNING[: len(beginning)]


def _split(head: bytes) -> list[Field]:
    fields = []
    for line in head.split(b"\n")[1:-1]:  # behind the last newline is nothing, or a line that has not ended
        name, colon, value = (part.strip(b" \t\r") for part in line.partition(b":"))
        if colon and _NAME.fullmatch(name) and b"\0" not in value and b"\r" not in value:
            fields.append((name, value))
    return fields


def _has_one_framing(lower: bytes) -> bool:
    lengths = lower.count(b"\ncontent-length:")
    if not lengths:
        return True
    return lengths == 1 and b"\ntransfer-encoding:" not in lower and _ONE_LENGTH.search(lower) is not None


def _one_framing(fields: Sequence[Field]) -> list[Field]:
    """Return the fields with at most one that says where the body ends, and without `Connection`."""
    kept = [field for field in fields if field[0].lower() not in (_LENGTH, _CONNECTION)]
    if any(name.lower() == _CODING for name, _ in fields):
        return kept
    lengths = (value.partition(b",")[0].strip() for name, value in fields if name.lower() == _LENGTH)
    length = next((value for value in lengths if value.isdigit()), None)
    return kept if length is None else [*kept, (_LENGTH, length)]


def _is_read(name: bytes) -> bool:
    return name in _READ_FIELDS or b"rate" in name

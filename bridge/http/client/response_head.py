"""The head of a response: where it ends, what it says, and where the body behind it ends.

Receivers and upstreams send heads that RFC 9112 does not allow and that common clients read all the same: the same
Content-Length twice, a field of 9 KB, a line that is no field. A parser that refuses such a head would lose the status
and with it the fact that the receiver has the event. So they are read too, and marked as not well-formed.
"""

import re
from collections.abc import Iterable, Sequence

MAX_INFORMATIONAL = 16
MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 2_000
MAX_LENGTH_DIGITS = 18  # a length that fits into 64 bits
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
_REASON = re.compile(rb"[^\r\n ]*[ \t]+\d{3}[ \t]?([^\r\n]*)")
_DIGITS = re.compile(r"[0-9]+")
_LENGTH, _CODING, _CONNECTION = "content-length", "transfer-encoding", "connection"
_CHUNKED = "chunked"
_OLD_VERSION = b"HTTP/1.0"

Field = tuple[bytes, bytes]


class HeadError(Exception):
    """What arrived is no head of HTTP, or too large, or one informational head too many; the text says which."""


class ResponseHead:
    """Status and fields of a response, and how its body is framed.

    `headers` has the first of each field by its name in lower case. `length` is the body's length in bytes, None where
    it is not known before; `is_chunked` says that it comes in chunks; with neither it ends with the connection. Behind
    a head that is not `is_well_formed` (RFC 9112) where the body ends is a guess. `is_last`: no other response follows.
    `flaw`: what is wrong behind the status, in words, or "".
    """

    __slots__ = (
        *("_head", "_repeated", "flaw", "headers", "is_chunked", "is_last", "is_well_formed"),
        *("length", "status"),
    )

    def __init__(self, head: bytes, status: int, *, flaw: str = "") -> None:
        self._head = head
        self.status = status
        self.flaw = flaw
        self.headers: dict[str, str] = {}
        self._repeated: list[tuple[str, str]] = []
        self.is_well_formed = not flaw and _WELL_FORMED.fullmatch(head) is not None
        if self.is_well_formed:
            self._note_fields(head.decode("utf-8", "replace").split("\r\n")[1:-2])
        else:
            self._note_fields([(b"%b:%b" % field).decode("utf-8", "replace") for field in _split(head)])
        self.length: int | None = None
        self.is_chunked = False
        self._read_framing()
        self.is_last = not self.is_well_formed or self._ends_connection()

    def all_of(self, name: str) -> str:
        """Return all values of a field, joined by commas (RFC 9110, section 5.3); "" if it is missing."""
        first = self.headers.get(name, "")
        if not self._repeated:
            return first
        return ",".join([first, *(value for other, value in self._repeated if other == name)])

    def list_fields(self) -> Sequence[Field]:
        """Return the fields as they came: names and values as bytes, in their order, repeated ones too."""
        return _split(self._head)

    @property
    def reason(self) -> bytes:
        """Return what follows the status in its line."""
        found = _REASON.match(self._head)
        return found[1] if found else b""

    def _note_fields(self, lines: Iterable[str]) -> None:
        headers = self.headers
        for line in lines:
            name, _, value = line.partition(":")
            name = name.lower()
            if name in headers:
                self._repeated.append((name, value.strip(" \t")))
            else:
                headers[name] = value.strip(" \t")

    def _read_framing(self) -> None:
        """Find out how the body ends (RFC 9112, section 6.3); of lengths that differ the first one counts."""
        if _CODING in self.headers:
            coding = self.all_of(_CODING).lower()
            self.is_chunked = coding.rpartition(",")[2].strip() == _CHUNKED
            if coding != _CHUNKED or _LENGTH in self.headers or self._head.startswith(_OLD_VERSION):
                self.is_well_formed = False
        elif _LENGTH in self.headers:
            lengths = self.all_of(_LENGTH)
            if not _DIGITS.fullmatch(lengths):
                self.is_well_formed = False
                lengths = next((each for each in _split_list(lengths) if _DIGITS.fullmatch(each)), "")
            if len(lengths) > MAX_LENGTH_DIGITS:
                self.flaw = self.flaw or "the length of its body is malformed"
            elif lengths:
                self.length = int(lengths)

    def _ends_connection(self) -> bool:
        is_old = self._head.startswith(_OLD_VERSION)
        if not is_old and _CONNECTION not in self.headers:
            return False
        words = _split_list(self.all_of(_CONNECTION).lower())
        return "close" in words or (is_old and "keep-alive" not in words)


class HeadReader:
    """Collects what arrives until the final head is whole; the informational ones before it count towards its size."""

    __slots__ = ("_at", "_heads", "_received", "_searched")

    def __init__(self) -> None:
        self._received: bytes | bytearray = b""
        self._heads = 0
        self._at = 0  # where the head begins that is awaited
        self._searched = 0  # up to where it was looked for its end

    def feed(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """Return the final head and what follows it, once it is whole; raise `HeadError` where none can follow."""
        if not self._received:
            self._received = data
        else:
            if isinstance(self._received, bytes):
                self._received = bytearray(self._received)
            self._received += data
        while (head := self._next_head()) is not None:
            status = read_status(head)
            if status is None:
                raise HeadError("its status is malformed")
            if is_final(status):
                rest = bytes(self._received[self._at :])
                return ResponseHead(head, status), rest
        return None

    def _next_head(self) -> bytes | None:
        received = self._received
        line_ends = _LINE_ENDS.match(received, self._at)
        self._at = line_ends.end() if line_ends else self._at
        found = _BLANK_LINE.search(received, max(self._at, self._searched))
        self._searched = found.end() if found else max(len(received) - 2, 0)
        if (found.end() if found else len(received)) > MAX_HEAD_BYTES:
            raise HeadError("its headers are larger than 64 KB")
        if found is None:
            if not _may_be_head(bytes(received[self._at : self._at + STATUS_BYTES])):
                raise HeadError("it is not HTTP")
            return None
        self._heads += 1
        if self._heads > MAX_INFORMATIONAL + 1:
            raise HeadError("too many heads came")
        head = bytes(received[self._at : found.end()])
        if head.count(b"\n") > MAX_FIELDS:
            raise HeadError(f"its headers are more than {MAX_FIELDS:,}")
        self._at = found.end()
        return head

    def read_begun(self, flaw: str) -> ResponseHead | None:
        """Return the final head as far as it has arrived, with what is wrong with it; None before its status."""
        head = bytes(self._received[self._at :])
        status = read_status(head)
        return ResponseHead(head, status, flaw=flaw) if status is not None and is_final(status) else None


def is_final(status: int) -> bool:
    """Return whether no other response follows this status (RFC 9110, section 15.2)."""
    return not 100 <= status < 200 or status == SWITCHING


def read_status(head: bytes) -> int | None:
    """Return the status of a head that may be incomplete; None if it is not HTTP, or before all three digits came."""
    found = _STATUS.match(head)
    return int(found[1]) if found and int(found[1]) >= 100 else None


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


def _split_list(values: str) -> list[str]:
    return [each.strip() for each in values.split(",")]

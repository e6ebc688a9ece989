"""Parse the body of an upstream's answer, which may be JSON, HTML, empty or hostile."""

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from bridge.providers.large_answers import LARGE_BYTES, close_cut_json, shrink

# Digits that a number may have: more than a double holds, fewer than Python refuses to read (4,300).
_MOST_DIGITS = 400
# Documented answers are 4 levels deep. What is stored here is written again later, by recursive writers.
DEEPEST = 64
_BOM = b"\xef\xbb\xbf"


class Document(Struct, frozen=True, kw_only=True, gc=False):
    """A body, parsed; `trouble` says in words why there is no `value`, `shortened` that it is not all of it."""

    value: Any = None
    trouble: str | None = None
    html: bool = False
    shortened: bool = False

    @property
    def is_object(self) -> bool:
        """Whether the body is a JSON object."""
        return isinstance(self.value, dict)


def read_document(body: bytes, *, is_cut: bool = False) -> Document:
    """Parse a body as JSON, whatever its Content-Type says, which providers and proxies get wrong; never raise.

    `is_cut` means that the caller stopped reading: then the members that are whole near the beginning are parsed.
    """
    content = _to_utf8(body).removeprefix(_BOM).strip()
    if is_cut:
        content = close_cut_json(content)
    if not content:
        return Document(trouble="an empty body")
    if content.startswith(b"<"):
        return Document(trouble="HTML instead of JSON", html=True)
    try:
        value = _decode(content)
    except ValueError:
        return Document(trouble="unreadable JSON")
    except RecursionError:
        return Document(trouble="JSON nested too deep")
    if _is_deep(content, value):
        return Document(trouble="JSON nested too deep")
    if is_cut or len(content) > LARGE_BYTES:
        return Document(value=shrink(value), shortened=True)
    return Document(value=value)


def _to_utf8(body: bytes) -> bytes:
    """Return a body as UTF-8, also one in UTF-16 or UTF-32, which Python's `requests` reads too."""
    encoding = json.detect_encoding(body[:4])
    return body if encoding.startswith("utf-8") else body.decode(encoding, "replace").encode()


def _decode(content: bytes) -> Any:
    """Decode JSON as the documented clients do, JavaScript's `fetch` and Python's `requests`.

    Bytes that are not UTF-8 become U+FFFD, and lone surrogates, which a JavaScript upstream can write, are kept.
    Numbers that no double holds, and Python's NaN and Infinity, become null, as JavaScript would write them again.
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError):
        text = content.decode(errors="replace")
        return json.loads(text, parse_constant=_to_null, parse_int=_read_int, parse_float=_read_float)


def _to_null(_name: str) -> None:
    return None


def _read_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS and math.isfinite(float(digits)) else None


def _read_float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def look_up(document: Any, path: tuple[str, ...]) -> Any:
    """Return the value under a path of keys, None where the path leaves objects."""
    for key in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def _is_deep(content: bytes, value: Any) -> bool:
    # Too few brackets to be deep: the ordinary answer, decided without a walk.
    if content.count(b"[") + content.count(b"{") <= DEEPEST:
        return False
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True

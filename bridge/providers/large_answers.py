"""Answers far larger than any documented one: what tells a job's state is kept of them, the rest is let go.

Where not even all of a document was read, its beginning is: the status stands in front, as a rule.
"""

import re
from collections.abc import Iterator
from itertools import islice
from json.decoder import scanstring  # type: ignore[attr-defined]  # missing from the type stubs
from typing import Any

LARGE_BYTES = 2 * 1024 * 1024  # of a document; what is larger is not stored and sent as it came
_MAX_VALUES = 50_000
_MAX_CHARS = 500
_MAX_MARKS = 200_000  # brackets and commas of a beginning that are looked at: some 0.1 s
_MAX_DEPTH = 64
_MARK = re.compile(r'["{}\[\],]')
_CLOSERS = {"{": "}", "[": "]"}


def close_cut_json(beginning: bytes) -> bytes:
    """Return the beginning of a document up to its last complete member, with what is open closed.

    An object in a list that was cut inside is left out, because it may lack the very field that matters.
    """
    text = beginning.decode(errors="replace")
    open_: list[str] = []  # what would close the brackets that are open
    safe, closers = 0, ""
    for mark, start, end in islice(_list_marks(text), _MAX_MARKS):
        if mark in _CLOSERS:
            open_.append(_CLOSERS[mark])
        elif mark != "," and (not open_ or open_.pop() != mark):
            break
        elif not open_:
            return text[:end].encode()
        elif "]" not in (open_[:-1] if mark == "," else open_):
            safe, closers = (start if mark == "," else end), "".join(reversed(open_))
        if len(open_) > _MAX_DEPTH:
            break
    return (text[:safe] + closers).encode()


def _list_marks(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the brackets and commas outside of strings with where they begin and end."""
    at = 0
    while (found := _MARK.search(text, at)) is not None:
        at = found.end()
        if found[0] != '"':
            yield found[0], found.start(), at
            continue
        try:
            at = scanstring(text, at, False)[1]  # noqa: FBT003  # not strict; it takes no keywords
        except ValueError:  # the string does not end here
            return


def shrink(value: Any) -> Any:
    """Return a parsed document with its texts cut short, and without what lies behind its first 50,000 values."""
    left = _MAX_VALUES

    def copy(node: Any) -> Any:
        nonlocal left
        left -= 1
        if isinstance(node, str):
            return node[:_MAX_CHARS]
        if isinstance(node, dict):
            return {name[:_MAX_CHARS]: copy(each) for name, each in node.items() if left > 0}
        if isinstance(node, list):
            return [copy(each) for each in node if left > 0]
        return node

    return copy(value)

"""Parse the body of an upstream's answer, which may be JSON, HTML, empty or hostile."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

# Documented answers are 4 levels deep. What is stored here is written again later, by recursive writers.
DEEPEST = 64
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A body, parsed; `trouble` says in words why there is no `value`."""

    value: Any = None
    trouble: str | None = None
    html: bool = False

    @property
    def is_object(self) -> bool:
        """Whether the body is a JSON object."""
        return isinstance(self.value, dict)


def read_document(body: bytes) -> Document:
    """Parse a body as JSON, whatever its Content-Type says, which providers and proxies get wrong; never raise."""
    content = body.removeprefix(_BOM).strip()
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
    return Document(value=value)


def _decode(content: bytes) -> Any:
    """Decode JSON, by `json` where a lone surrogate, which a JavaScript upstream can write, stops the fast decoder."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError):
        return json.loads(content.decode(), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


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

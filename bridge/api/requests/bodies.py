"""Read the fields of a request from JSON, a form, multipart or the query.

No-code tools send wrong content types (Node-RED sends JSON text without one, curl calls it a form), so that the content
decides, and the content type only where the content leaves it open.
"""

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from email.message import Message
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from bridge.api.requests.multipart import read_multipart
from bridge.errors import ValidationFailed

MAX_DEPTH = 64
MAX_FIELDS = 1000
# A multipart boundary has at most 70 characters (RFC 2046, 5.1.1). The parser of parameters takes quadratic time.
MAX_CONTENT_TYPE_CHARS = 256
# The charsets that HTTP clients really declare; text with any other one is decoded as UTF-8. Not looked up with
# `codecs.lookup`, which remembers every name that it was ever asked for.
_CHARSETS = {
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16-le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-16-be": "utf-16-be",
}
_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _read_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_read_float)


class Fields(Struct, frozen=True, kw_only=True):
    """The fields of a request; `textual` ones came from a form or query, where an object can only be JSON text."""

    values: dict[str, Any]
    textual: frozenset[str] = frozenset()


def check_query(raw: str) -> None:
    """Raise ValidationFailed if a raw query has more fields than a form may have."""
    if raw.count("&") >= MAX_FIELDS:  # as `parse_qsl` counts
        raise ValidationFailed("query", f"more than {MAX_FIELDS} fields: send them as a JSON body")


def read_fields(body: bytes, content_type: str, query: Sequence[tuple[str, str]]) -> Fields:
    """Return the fields of a body, completed from the query; raise ValidationFailed if the body holds no object."""
    in_query = _collect(query)
    if not body.strip():
        return Fields(values=in_query, textual=frozenset(in_query))
    found = _read_body(body, content_type)
    if not in_query:
        return found
    # The body wins: it was written for this request, while the query may come from a URL that was copied.
    extra = {name: value for name, value in in_query.items() if name not in found.values}
    return Fields(values={**extra, **found.values}, textual=found.textual | extra.keys())


def parse_json(text: str, *, field: str) -> Any:
    """Parse JSON text; raise ValidationFailed that names `field` also for deep nesting and infinite numbers."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValidationFailed(
            field,
            f"not readable as JSON ({error.msg}, line {error.lineno}, column {error.colno}): send one JSON object",
        ) from None
    except RecursionError:
        raise ValidationFailed(field, "nested too deep: send a flat JSON object") from None
    except ValueError as error:
        raise ValidationFailed(field, f"not readable as JSON ({_describe(error)})") from None
    if _is_deep(value):
        raise ValidationFailed(field, f"nested deeper than {MAX_DEPTH} levels: send a flat JSON object")
    return value


class _Label(Struct, frozen=True):
    """What a content type says: the type in lower case, the charset, and the boundary of multipart."""

    kind: str
    charset: str
    boundary: str


def _read_label(content_type: str) -> _Label:
    return _parse_label(content_type if len(content_type) <= MAX_CONTENT_TYPE_CHARS else "")


@lru_cache(maxsize=128)  # clients send few different ones
def _parse_label(content_type: str) -> _Label:
    label = Message()
    label["content-type"] = content_type if content_type.isascii() and content_type.isprintable() else ""
    boundary = label.get_param("boundary")
    return _Label(
        kind=label.get_content_type(),
        charset=str(label.get_content_charset() or "utf-8"),
        boundary=boundary if isinstance(boundary, str) else "",
    )


def _read_body(body: bytes, content_type: str) -> Fields:
    label = _read_label(content_type)
    if label.kind == "multipart/form-data":
        parts = read_multipart(body, label.boundary)
        values = _collect((part.name, _decode(part.content, part.charset or "utf-8")) for part in parts)
        return Fields(values=values, textual=frozenset(values))
    text = _decode(body, label.charset).strip()
    if _is_form(text, label.kind):
        values = _collect(_split_form(text))
        return Fields(values=values, textual=frozenset(values))
    return Fields(values=_read_object(text))


def _is_form(text: str, kind: str) -> bool:
    if text[:1] in ("{", "[", '"'):
        return False
    if kind == "application/x-www-form-urlencoded":
        return True
    labelled_json = kind.endswith("json")
    name, equals, _ = text.partition("=")
    return not labelled_json and bool(equals) and _PLAIN_NAME.fullmatch(name) is not None


def _read_object(text: str) -> dict[str, Any]:
    value = parse_json(text, field="body")
    if isinstance(value, str):  # a tool that encodes JSON twice
        value = parse_json(value, field="body")
    if isinstance(value, list):
        if len(value) != 1:
            raise ValidationFailed(
                "body", "an array: send one object; for several sync jobs at once use its field job_ids"
            )
        value = value[0]
    if not isinstance(value, dict):
        raise ValidationFailed("body", 'not an object: send one JSON object such as {"job_id": "…"}')
    return value


def _decode(body: bytes, charset: str) -> str:
    name = _CHARSETS.get(charset.strip().lower().replace("_", "-"), "utf-8")
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    try:
        return body.decode("utf-8-sig" if name == "utf-8" else name)
    except UnicodeDecodeError:
        raise ValidationFailed("body", "not readable as text: send it as UTF-8") from None


def _split_form(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise ValidationFailed("body", "a form with bytes that are no UTF-8: send it as UTF-8") from None
    except ValueError:
        raise ValidationFailed("body", f"a form with more than {MAX_FIELDS} fields") from None


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values by name; a repeated name, or one that ends in [], has a list."""
    values: dict[str, Any] = {}
    for raw_name, value in pairs:
        name = raw_name.removesuffix("[]")
        if name in values:
            known = values[name]
            if isinstance(known, list):
                known.append(value)
            else:
                values[name] = [known, value]
        else:
            values[name] = [value] if name != raw_name else value
    return values


def _describe(error: ValueError) -> str:
    """Return the error's message, except for huge integers, where Python's message is about Python."""
    return "a number is too long" if "integer string conversion" in str(error) else str(error)


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node

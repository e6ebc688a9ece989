"""Write JSON as JavaScript does, so that a receiver that parses the body and writes it again gets the signed bytes.

After ECMAScript 2023: JSON.stringify (25.5.2), Number::toString (6.1.6.1.20), OrdinaryOwnPropertyKeys (10.1.11.1).
"""

import math
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any

import msgspec

_LONE = re.compile("[\ud800-\udfff]")
_MAX_SAFE = 2**53
_MAX_INDEX = 2**32 - 2


def to_js_json(value: object) -> bytes:
    """Return UTF-8 text for which `JSON.stringify(JSON.parse(text)) === text`.

    Take what `json.loads` returns (dicts with str names, lists, tuples, str, numbers, bool, None); raise `TypeError`
    for anything else. Numbers that no double can hold are written as JavaScript would: rounded, or null if infinite.
    """
    return plain_to_js_json(value) if _is_plain(value) else _to_text(value)


def plain_to_js_json(value: object) -> bytes:
    """Return what `to_js_json` does, without looking first whether msgspec may write it.

    For what the bridge has put together itself, with no float, no whole number beyond 2**53 and no name that begins with a
    digit; its texts may be anything.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate somewhere
        return _to_text(value)


def _to_text(value: object) -> bytes:
    text = "".join(_write(value))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _encode_surrogates(text)


def _is_plain(value: object) -> bool:
    """Return whether msgspec is known to write this exactly as JavaScript does."""
    rest: list[Any] = [value]
    for item in rest:  # the list grows during the loop: a breadth-first walk without recursion
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict:
            if item:
                if not _are_plain_names(item):
                    return False
                rest.extend(item.values())
        elif kind is list:
            rest.extend(item)
        elif kind is int:
            if not -_MAX_SAFE <= item <= _MAX_SAFE:
                return False
        elif kind is not float or not 1e-4 <= abs(item) < 1e16 or item.is_integer():
            return False
    return True


def _are_plain_names(item: dict[Any, Any]) -> bool:
    """Return whether no name begins with a digit: the least one sorts behind them (`:` follows `9` in ASCII)."""
    try:
        return bool(min(item) >= ":")
    except TypeError:
        return False


def _write(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield encode_basestring(value)
    elif value is None:
        yield "null"
    elif value is True:
        yield "true"
    elif value is False:
        yield "false"
    elif isinstance(value, (int, float)):
        yield _write_number(value)
    elif isinstance(value, dict):
        separator = "{"
        for name in _order(value):
            yield separator
            yield encode_basestring(name)
            yield ":"
            yield from _write(value[name])
            separator = ","
        yield "}" if value else "{}"
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            yield separator
            yield from _write(item)
            separator = ","
        yield "]" if value else "[]"
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def _order(value: dict[str, object]) -> list[str]:
    """Return the names in the order of a JavaScript object: first array indexes, ascending, then the others."""
    names = list(value)
    if any(not isinstance(name, str) for name in names):
        raise TypeError("names in JSON must be str")
    indexes = [name for name in names if _is_index(name)]
    if not indexes:
        return names
    return sorted(indexes, key=int) + [name for name in names if not _is_index(name)]


def _is_index(name: str) -> bool:
    if not (name.isascii() and name.isdigit() and len(name) <= 10):
        return False
    return (name == "0" or name[0] != "0") and int(name) <= _MAX_INDEX


def _write_number(value: float) -> str:
    if isinstance(value, int):
        if -_MAX_SAFE <= value <= _MAX_SAFE:
            return int.__repr__(value)
        try:
            value = float(value)
        except OverflowError:
            return "null"
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    return _write_double(value)


def _write_double(value: float) -> str:
    """Write the shortest digits that read back as the same double; Python's are the same as JavaScript's."""
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def _encode_surrogates(text: str) -> bytes:
    """Join surrogate pairs and escape lone surrogates, as JSON.stringify does since ES2019."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", joined).encode()

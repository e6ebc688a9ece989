"""Check the extra headers that a client wants in its deliveries, such as its receiver's API key."""

import re
from collections.abc import Mapping

MAX_HEADERS = 20
MAX_NAME_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 2048
MAX_TOTAL_CHARACTERS = 8192

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OURS = ("webhook-", "content-")
# Host, framing and hop-by-hop headers (RFC 9110, 7.6.1) are set by the connection.
_FORBIDDEN = frozenset(
    {
        "host", "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
        "trailer", "transfer-encoding", "upgrade", "expect", "accept-encoding", "http2-settings",
    }
)  # fmt: skip


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers as they will be sent; raise `ValueError` that names the header and the fix, never a value.

    Blanks around a value are removed, since no receiver sees them; names keep their spelling.
    """
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"headers: {len(headers)} are too many, at most {MAX_HEADERS}")
    checked: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in headers.items():
        _check_name(name)
        if name.lower() in seen:
            raise ValueError(f"headers: {name} is given twice: keep one")
        seen.add(name.lower())
        checked[name] = _check_value(name, value)
    if sum(len(name) + len(value) for name, value in checked.items()) > MAX_TOTAL_CHARACTERS:
        raise ValueError(f"headers: names and values together may have {MAX_TOTAL_CHARACTERS} characters")
    return checked


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS or _TOKEN.fullmatch(name) is None:
        raise ValueError(
            f"headers: {name[:40]!r} is no header name: use letters, digits and -, at most {MAX_NAME_CHARACTERS}"
        )
    lower = name.lower()
    if lower.startswith(_OURS) or lower in _FORBIDDEN:
        raise ValueError(f"headers: {name} is set by the bridge itself: remove it or choose another name")


def _check_value(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"headers: the value of {name} must be text: put it in quotes")  # noqa: TRY004 - one kind of error for a bad field
    text = value.strip(" \t")
    if len(text) > MAX_VALUE_CHARACTERS:
        raise ValueError(
            f"headers: the value of {name} is too long, at most {MAX_VALUE_CHARACTERS} characters"
        )
    if _VALUE.fullmatch(text) is None:
        raise ValueError(
            f"headers: the value of {name} holds a line break, a control character or a letter beyond ASCII: remove it"
        )
    return text

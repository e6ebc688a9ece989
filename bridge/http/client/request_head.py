"""The head of a request as bytes."""

import re
from collections.abc import Iterable, Mapping, Sequence

from bridge.http.client.response_head import Field

_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # would end a header, or hide in it
_FORBIDDEN_BYTES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FRAMING = frozenset(("content-length", "transfer-encoding"))


class CommonHeaders:
    """The headers that go with every request to an origin; a request's own header takes the place of a common one."""

    __slots__ = ("_fields", "_names", "_text")

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)
        self._names = _FRAMING | {name.lower() for name in fields}
        self._text = _format(fields)

    def write_head(self, method: str, target: str, headers: Mapping[str, str], length: int | None) -> bytes:
        """Return a request's head; raise ValueError for a blank or control character where none may be.

        `length` is that of the body, or None if there is none.
        """
        text = "".join([target, *headers, *headers.values()])
        # What is printable has no control character, which is found out much sooner.
        if " " in target or (not text.isprintable() and _FORBIDDEN.search(text)):
            raise ValueError("a blank or a control character in a request's head")
        if self._names.isdisjoint([name.lower() for name in headers]):
            fields = self._text + _format(headers)
        else:
            own = {name.lower() for name in headers}
            if own & _FRAMING:
                raise ValueError("a request's headers contradict its framing")
            kept = {name: value for name, value in self._fields.items() if name.lower() not in own}
            fields = _format(kept) + _format(headers)
        framing = "" if length is None else f"content-length: {length}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{fields}{framing}\r\n".encode()


def write_raw_head(
    method: str, target: str, fields: Sequence[Field], *, host: str, framing: Field | None
) -> bytes:
    """Return a request's head with these fields as they are, in their order; raise ValueError where HTTP forbids them.

    `host` is sent first if no field names one. `framing` comes last: the body's Content-Length or Transfer-Encoding,
    unless the fields have that very length themselves. Without it there is no body, and the fields may say so.
    """
    if not _METHOD.fullmatch(method) or " " in target or not target or _FORBIDDEN.search(target):
        raise ValueError("a request's method or target is malformed")
    for name, value in fields:
        if not _NAME.fullmatch(name) or _FORBIDDEN_BYTES.search(value):
            raise ValueError("a request's header is malformed")
    names = [name.lower() for name, _ in fields]
    if b"transfer-encoding" in names or names.count(b"host") > 1:
        raise ValueError("a request's headers contradict its framing or its host")
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    if lengths and lengths != [framing[1] if framing is not None else b"0"]:
        raise ValueError("a request's Content-Length is not that of its body")
    sent: list[Field] = [] if b"host" in names else [(b"Host", host.encode())]
    sent += fields
    if framing is not None and not lengths:
        sent.append(framing)
    line = f"{method} {target} HTTP/1.1".encode()
    return b"\r\n".join([line, *_join(sent), b"", b""])


def _join(fields: Iterable[Field]) -> Iterable[bytes]:
    return (b"%b: %b" % field for field in fields)


def _format(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])

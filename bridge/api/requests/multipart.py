"""Split a multipart/form-data body (RFC 7578) that lies in memory: text fields only, a file counts as its text."""

import re

from bridge.errors import ValidationFailed

MOST_PARTS = 1000
LONGEST_BOUNDARY = 70  # RFC 2046, 5.1.1
_NAME = re.compile(rb';\s*name=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))', re.IGNORECASE)


def read_multipart(body: bytes, boundary: str) -> list[tuple[str, str]]:
    """Give the fields in their order; raises ValidationFailed for a body that its boundary does not divide."""
    if not boundary or len(boundary) > LONGEST_BOUNDARY:
        raise ValidationFailed(
            "body", "multipart without a boundary: set it in the Content-Type, or send JSON"
        )
    marker = b"\r\n--" + boundary.encode("latin-1", "replace")
    # A boundary stands at the start of a line; the first line of the body has no line break before it.
    parts = (b"\r\n" + body).split(marker, MOST_PARTS + 2)[1:]
    if not parts or len(parts) > MOST_PARTS + 1:
        raise ValidationFailed(
            "body", f"multipart needs 1 to {MOST_PARTS} parts, divided by its boundary: send JSON"
        )
    fields = []
    for part in parts:
        if part.startswith(b"--"):
            break
        fields.append(_read_part(part))
    return fields


def _read_part(part: bytes) -> tuple[str, str]:
    head, blank, content = part.partition(b"\r\n\r\n")
    name = _NAME.search(_disposition(head))
    if not blank or name is None:
        raise ValidationFailed(
            "body", "a multipart part without a name: give each part a Content-Disposition with name="
        )
    try:
        return (name[1] if name[1] is not None else name[2]).decode(), content.decode()
    except UnicodeDecodeError:
        raise ValidationFailed(
            "body", "a multipart part that is no UTF-8 text: send fields as text"
        ) from None


def _disposition(head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        label, colon, value = line.partition(b":")
        if colon and label.strip().lower() == b"content-disposition":
            return value
    return b""

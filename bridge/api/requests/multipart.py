"""Split a multipart/form-data body (RFC 7578) that lies in memory into its parts."""

from dataclasses import dataclass

from multipart import MultipartError, PushMultipartParser  # type: ignore[import-untyped]

from bridge.errors import ValidationFailed

MAX_PARTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of a form. A file is a field like any other: its content counts as the text of the field."""

    name: str
    content: bytes
    charset: str | None


def read_multipart(body: bytes, boundary: str) -> list[FormField]:
    """Return the parts in their order; raise ValidationFailed for a malformed, cut off or overlong body.

    The parser works in memory, in time linear to the body, and never opens a file. The server limits the
    size of bodies, hence of parts; the number of parts, and the number and size of their headers, are limited here.
    """
    parts: list[FormField] = []
    chunks: list[bytes] = []
    try:
        with PushMultipartParser(boundary, max_segment_count=MAX_PARTS, strict=True) as parser:
            segment = None
            for event in parser.parse(body):
                if isinstance(event, bytes):
                    chunks.append(event)
                elif event is not None:
                    segment = event
                elif segment is not None:
                    parts.append(
                        FormField(name=segment.name, content=b"".join(chunks), charset=segment.charset)
                    )
                    chunks.clear()
    except MultipartError as error:  # its further arguments may quote the body
        raise ValidationFailed(
            "body",
            f"not readable as multipart/form-data ({error.args[0]}): send 1 to {MAX_PARTS} parts, each with a name, "
            "divided by the boundary that the Content-Type declares, or send JSON",
        ) from None
    return parts

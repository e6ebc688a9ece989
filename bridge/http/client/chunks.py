"""Take a chunked body apart, with the strict parser llhttp (httptools)."""

import httptools

MAX_FRAMING_BYTES = 64 * 1024  # of chunk extensions or trailers without a byte of the body between them
# The parser only takes chunks behind a head.
_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class ChunkReader:
    """Removes the framing of a chunked body; trailers are read and dropped.

    `is_complete`: the last chunk has come. `is_broken`: what came is malformed or goes on behind the body's end.
    """

    __slots__ = ("_framing", "_messages", "_parser", "_pieces", "is_broken", "is_complete")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._messages = 0
        self._framing = 0
        self.is_complete = self.is_broken = False
        # It refers to this object as this one does to it, until the body ends.
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.feed_data(_HEAD)

    def feed(self, data: bytes) -> bytes:
        """Return what is part of the body, up to where it is malformed; for as long as it is not at its end."""
        assert self._parser is not None, "the body has ended"
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.is_broken = True
        if self._messages > 1 or self._framing > MAX_FRAMING_BYTES:
            self.is_broken = True
        if self.is_complete or self.is_broken:
            self._parser = None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return body

    def on_message_begin(self) -> None:
        """Count the messages, as the parser reports them: a second one is no part of the body."""
        self._messages += 1

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if self._messages == 1:
            self._framing = 0
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        self.is_complete = True

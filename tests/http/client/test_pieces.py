"""Where packets begin and end makes no difference to what a response means."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.http.client.chunks import MAX_FRAMING_BYTES, ChunkReader
from bridge.http.client.response_body import ResponseBody
from bridge.http.client.response_head import Field, HeadReader

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
RESPONSES = [
    HEAD + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello",
    HEAD + b"Content-Length: 5\r\n\r\nhelloEXTRA",
    HEAD + CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-T: u\r\n\r\n",
    HEAD + CHUNKED + b"2\r\nhe\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    HEAD + CHUNKED + b"2\r\nhe\r\nzz\r\n",
    b"HTTP/1.1 103 X\r\nLink: </a>\r\n\r\n\r\n" + HEAD + b"Connection: close\r\n\r\nuntil the end",
    HEAD + b"Content-Length: 5\nContent-Length: 5\n\nhello",
    HEAD + b"no field\r\nX-A: caf\xe9\r\nContent-Length : 5\r\n\r\nhello",
]
Meaning = tuple[int, list[Field], bool, bytes, bool, bool, str]


def read(pieces: list[bytes]) -> Meaning | None:
    """Return what pieces of a response mean together: status, fields, body, and what is wrong with them."""
    reader = HeadReader()
    for number, piece in enumerate(pieces, 1):
        found = reader.feed(piece)
        if found is not None:
            head, rest = found
            body = ResponseBody(head, has_body=True, set_paused=lambda _: None)
            for more in filter(None, [rest, *pieces[number:]]):
                body.feed(more)
            fields = list(head.list_fields())
            text = body.read_nowait()
            return (
                head.status,
                fields,
                head.is_well_formed,
                text,
                body.is_complete,
                body.is_surplus,
                body.flaw,
            )
    return None


@pytest.mark.parametrize("response", RESPONSES)
@given(data=st.data())
def test_cuts_change_nothing(response: bytes, data: st.DataObject) -> None:
    """A response in any pieces means what it means in one."""
    cuts = data.draw(st.sets(st.integers(1, len(response) - 1)))
    borders = [0, *sorted(cuts), len(response)]
    whole, cut = read([response]), read([response[start:end] for start, end in pairwise(borders)])
    assert whole is not None
    assert cut is not None
    # Behind a body that is malformed or over, the connection is closed: what more would come is not read.
    assert cut[:5] == whole[:5]
    assert bool(cut[5] or cut[6]) == bool(whole[5] or whole[6])


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(1, 40))
def test_chunks_of_any_size_give_the_body(pieces: list[bytes], size: int) -> None:
    """Whatever the bytes are, among them those that look like framing."""
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    reader = ChunkReader()
    body = b"".join(reader.feed(wire[at : at + size]) for at in range(0, len(wire), size))
    assert body == b"".join(pieces)
    assert (reader.is_complete, reader.is_broken) == (True, False)


@pytest.mark.parametrize(
    "endless", [b"2;" + b"x" * 100, b"0\r\nX-T: " + b"x" * 100], ids=["extension", "trailer"]
)
def test_framing_without_a_body_is_limited(endless: bytes) -> None:
    """A peer cannot fill the memory with what is no part of the body."""
    reader = ChunkReader()
    reader.feed(endless)
    taken = 0
    while not reader.is_broken:
        taken += 1_000
        reader.feed(b"x" * 1_000)
    assert taken <= MAX_FRAMING_BYTES + 1_000

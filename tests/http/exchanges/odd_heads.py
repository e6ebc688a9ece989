"""Heads that RFC 9112 does not allow, or that are long: the status counts, and what is a guess is marked as odd."""

from tests.http.exchanges.acts import EARLY, HEAD, LENGTH, odd, then_close
from tests.http.exchanges.play import Exchange
from tests.http.receivers import OK

HEADS: dict[str, Exchange] = {
    "a field of 9 KB": Exchange(
        answers=(odd(b"X-P: " + b"p" * 9_000 + b"\r\n" + LENGTH),),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 1 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="policies and cookies are that long; up to 64 KB is read",
    ),
    "a thousand fields": Exchange(
        answers=(odd(b"X-A: b\r\n" * 1_000 + LENGTH),),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 1 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="up to 2,000 are read",
    ),
    "the same length twice": Exchange(
        answers=(odd(LENGTH * 2),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="the status counts; the connection is not kept",
    ),
    "the same length twice in one field": Exchange(
        answers=(odd(b"Content-Length: 2, 2\r\n"),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="as above",
    ),
    "two lengths that differ": Exchange(
        answers=(odd(LENGTH + b"Content-Length: 1\r\n"),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="as above; whoever passes it on refuses it",
    ),
    "a length and chunks": Exchange(
        answers=(HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="chunks count (RFC 9112, section 6.3), and the connection is not kept",
    ),
    "a length with a sign": Exchange(
        answers=(then_close(odd(b"Content-Length: +2\r\n")),),
        ours="200 ok odd; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="no length: the body ends with the connection",
    ),
    "a length in base 16": Exchange(
        answers=(then_close(odd(b"Content-Length: 0x2\r\n")),),
        ours="200 ok odd; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="no length: the body ends with the connection",
    ),
    "a length of 40 digits": Exchange(
        answers=(odd(b"Content-Length: " + b"9" * 40 + b"\r\n"),),
        ours="200 flawed; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="the status counts, the body does not",
    ),
    "chunks in another coding": Exchange(
        answers=(then_close(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),),
        ours="200 ok odd; 1 sent, 1 connected",
        theirs="200 ok; 1 sent, 1 connected",
        why="whoever passes it on must not call it chunked alone",
    ),
    "a coding that is not chunked": Exchange(
        answers=(then_close(odd(b"Transfer-Encoding: gzip\r\n")),),
        ours="200 ok odd; 1 sent, 1 connected",
        theirs="200 ok; 1 sent, 1 connected",
        why="the body ends with the connection",
    ),
    "chunks in HTTP/1.0": Exchange(
        answers=(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="200 ok, 200 ok; 2 sent, 1 connected",
        why="its framing is faulty (RFC 9112, section 6.1)",
    ),
    "a blank before the colon": Exchange(
        answers=(odd(b"Content-Length : 2\r\n"),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="200 ok, 200 ok; 2 sent, 1 connected",
        why="the status counts; the connection is not kept",
    ),
    "a folded field": Exchange(
        answers=(odd(b"X-A: a\r\n b\r\n" + LENGTH),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="200 ok, 200 ok; 2 sent, 1 connected",
        why="the rest of it is left out",
    ),
    "NUL in a field": Exchange(
        answers=(odd(b"X-A: \0\r\n" + LENGTH),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="the field is left out",
    ),
    "a line that is no field": Exchange(
        answers=(odd(b"nonsense\r\n" + LENGTH),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="the line is left out",
    ),
    "line feeds alone": Exchange(
        answers=(odd(b"X-A: b\n" + LENGTH),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="200 ok, 200 ok; 2 sent, 1 connected",
        why="the status counts; the connection is not kept",
    ),
    "a carriage return in a field": Exchange(
        answers=(odd(b"X-A: b\rX-B: c\r\n" + LENGTH),),
        requests=2,
        ours="200 ok odd, 200 ok odd; 2 sent, 2 connected",
        theirs="failed, failed; 2 sent, 2 connected",
        why="the field is left out",
    ),
    "a head that breaks off": Exchange(
        answers=(then_close(HEAD + b"Content-Le"),),
        ours="200 flawed; 1 sent, 1 connected",
        theirs="failed; 2 sent, 2 connected",
        why="the status counts: the server has the request",
    ),
    "half a status": Exchange(
        answers=(then_close(b"HTTP/1.1 20"),),
        ours="failed; 1 sent, 1 connected",
        theirs="failed; 2 sent, 2 connected",
        why="two digits decide nothing",
    ),
    "a status below 100": Exchange(
        answers=(b"HTTP/1.1 099 X\r\n" + LENGTH + b"\r\nok",),
        ours="failed; 1 sent, 1 connected",
        theirs="99 ok; 1 sent, 1 connected",
        why="no status",
    ),
    "no HTTP": Exchange(
        answers=(then_close(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),),
        ours="failed; 1 sent, 1 connected",
        why="no HTTP",
    ),
    "twenty hints": Exchange(
        answers=(EARLY * 20 + OK,),
        ours="failed; 1 sent, 1 connected",
        theirs="200 ok; 1 sent, 1 connected",
        why="sixteen are skipped; nobody may send them without end",
    ),
    "switched to nothing": Exchange(
        answers=(b"HTTP/1.1 101 Switching Protocols\r\n\r\n",),
        requests=2,
        ours="101, 101; 2 sent, 2 connected",
        theirs="101, 101; 2 sent, 1 connected",
        why="what follows is no HTTP",
    ),
}

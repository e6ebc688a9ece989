"""Exchanges in which both clients do the same."""

from tests.http.exchanges.acts import CHUNKED, EARLY, HEAD, LENGTH, refuse_early, then_close
from tests.http.exchanges.play import Exchange
from tests.http.receivers import OK

PLAIN: dict[str, Exchange] = {
    "a body with a length": Exchange(
        answers=(OK,), requests=2, ours="200 ok, 200 ok; 2 sent, 1 connected", why="both keep the connection"
    ),
    "a body in chunks": Exchange(
        answers=(CHUNKED + b"1;a=b\r\no\r\n1\r\nk\r\n0\r\nX-T: 1\r\n\r\n",),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 1 connected",
        why="extensions and trailers are dropped (RFC 9112, section 7.1)",
    ),
    "a body up to the end of the connection": Exchange(
        answers=(then_close(HEAD + b"\r\nok"),),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 2 connected",
        why="the end of the connection is its end",
    ),
    "a POST whose answer ends with its connection": Exchange(
        answers=(then_close(HEAD + b"\r\nok"),),
        method="POST",
        requests=3,
        ours="200 ok, 200 ok, 200 ok; 3 sent, 3 connected",
        why="the next request does not meet a connection that is just being closed",
    ),
    "HTTP/1.0": Exchange(
        answers=(b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\nok",),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 2 connected",
        why="without keep-alive such a connection ends, though the server leaves it open",
    ),
    "HTTP/1.0 with keep-alive": Exchange(
        answers=(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"\r\nok",),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 1 connected",
        why="an old server may keep connections",
    ),
    "the last answer of a connection": Exchange(
        answers=(HEAD + b"Connection: close\r\n" + LENGTH + b"\r\nok",),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 2 connected",
        why="the server says so, though it leaves the connection open",
    ),
    "hints before the answer": Exchange(
        answers=(EARLY * 2 + OK,),
        requests=2,
        ours="200 ok, 200 ok; 2 sent, 1 connected",
        why="1xx are no answers (RFC 9110, section 15.2)",
    ),
    "HEAD": Exchange(
        answers=(HEAD + b"Content-Length: 500\r\n\r\n",),
        method="HEAD",
        requests=2,
        ours="200, 200; 2 sent, 1 connected",
        why="no body follows",
    ),
    "304 with a length": Exchange(
        answers=(b"HTTP/1.1 304 X\r\nContent-Length: 500\r\n\r\n",),
        requests=2,
        ours="304, 304; 2 sent, 1 connected",
        why="no body follows",
    ),
    "204 with a length of 0": Exchange(
        answers=(b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n",),
        requests=2,
        ours="204, 204; 2 sent, 1 connected",
        why="no body follows",
    ),
    "no reason in the first line": Exchange(
        answers=(b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nok",),
        ours="200 ok; 1 sent, 1 connected",
        why="servers leave the blank out, too",
    ),
    "a body that is too short": Exchange(
        answers=(then_close(HEAD + b"Content-Length: 5\r\n\r\nok"),),
        ours="200 ok broken; 1 sent, 1 connected",
        why="a short body is no good body",
    ),
    "death in the middle of a chunk": Exchange(
        answers=(then_close(CHUNKED + b"5\r\nok"),),
        ours="200 ok broken; 1 sent, 1 connected",
        why="a short body is no good body",
    ),
    "chunks without the last one": Exchange(
        answers=(then_close(CHUNKED + b"2\r\nok\r\n"),),
        ours="200 ok broken; 1 sent, 1 connected",
        why="a short body is no good body",
    ),
    "a POST whose connection closes": Exchange(
        answers=(OK, then_close(b"")),
        method="POST",
        requests=2,
        ours="200 ok, failed; 2 sent, 1 connected",
        why="it may have been done",
    ),
    "a PATCH whose connection closes": Exchange(
        answers=(OK, then_close(b"")),
        method="PATCH",
        requests=2,
        ours="200 ok, failed; 2 sent, 1 connected",
        why="it may have been done",
    ),
    "an early refusal of 20 MB": Exchange(
        answers=(refuse_early,),
        method="POST",
        body=b"x" * 20_000_000,
        heads_only=True,
        ours="413 big; 1 sent, 1 connected",
        why="the answer is read while writing",
    ),
    "a GET whose kept connection closes": Exchange(
        answers=(OK, then_close(b""), OK),
        requests=2,
        ours="200 ok, 200 ok; 3 sent, 2 connected",
        why="a read may be repeated, once",
    ),
}

"""Bodies that are malformed or go on behind their end, and what a client does of its own accord."""

import gzip

from tests.http.exchanges.acts import CHUNKED, HEAD, LATE, LENGTH, then_close
from tests.http.exchanges.play import Exchange
from tests.http.receivers import OK

BODIES: dict[str, Exchange] = {
    "bytes behind a body": Exchange(
        answers=(OK + b"EXTRA", OK),
        requests=2,
        ours="200 ok flawed, 200 ok; 2 sent, 2 connected",
        theirs="failed, 200 ok; 2 sent, 2 connected",
        why="the connection is not used again",
    ),
    "a second answer behind the first": Exchange(
        answers=(OK + HEAD + b"Content-Length: 5\r\n\r\nother", OK),
        requests=2,
        ours="200 ok flawed, 200 ok; 2 sent, 2 connected",
        theirs="200 ok, 200 ok; 2 sent, 2 connected",
        why="it must not become the answer of the next request",
    ),
    "a second answer while idle": Exchange(
        answers=(LATE, OK),
        requests=2,
        pause=LATE.wait,
        ours="200 ok, 200 ok; 2 sent, 2 connected",
        theirs="200 ok, 200 other; 1 sent, 1 connected",
        why="it must not become the answer of the next request",
    ),
    "a body behind 204": Exchange(
        answers=(b"HTTP/1.1 204 X\r\n" + LENGTH + b"\r\nok", OK),
        requests=2,
        ours="204 flawed, 200 ok; 2 sent, 2 connected",
        theirs="failed, 200 ok; 2 sent, 2 connected",
        why="no body follows a 204",
    ),
    "a body behind HEAD": Exchange(
        answers=(OK, HEAD + b"\r\n"),
        method="HEAD",
        requests=2,
        ours="200 flawed, 200; 2 sent, 2 connected",
        theirs="failed, 200; 2 sent, 2 connected",
        why="no body follows a HEAD",
    ),
    "a chunk size with a sign": Exchange(
        answers=(CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",),
        ours="200 broken; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="no size",
    ),
    "a chunk size with a blank": Exchange(
        answers=(CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",),
        ours="200 broken; 1 sent, 1 connected",
        theirs="200 ok; 1 sent, 1 connected",
        why="no size",
    ),
    "a chunk size behind 0x": Exchange(
        answers=(CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",),
        ours="200 broken; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="no size",
    ),
    "chunks with line feeds alone": Exchange(
        answers=(CHUNKED + b"2\nok\n0\n\n",),
        ours="200 broken; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="where a chunk ends would be a guess",
    ),
    "a chunk longer than its size": Exchange(
        answers=(CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",),
        ours="200 ok broken; 1 sent, 1 connected",
        theirs="failed; 1 sent, 1 connected",
        why="where a chunk ends would be a guess",
    ),
    "a body that was packed": Exchange(
        answers=(
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"ok", mtime=0),
        ),
        ours="200 22 bytes; 1 sent, 1 connected",
        theirs="200 ok; 1 sent, 1 connected",
        why="whoever passes it on keeps it as it is; whoever reads it unpacks it, up to a limit",
    ),
}

CONDUCT: dict[str, Exchange] = {
    "a redirect": Exchange(
        answers=(b"HTTP/1.1 302 X\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", OK),
        ours="302; 1 sent, 1 connected",
        theirs="200 ok; 2 sent, 1 connected",
        why="a signature or a credential must not travel on",
    ),
    "a POST that is redirected": Exchange(
        answers=(b"HTTP/1.1 302 X\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", OK),
        method="POST",
        body=b"{}",
        ours="302; 1 sent, 1 connected",
        theirs="200 ok; 2 sent, 1 connected",
        why="it would become a GET without its body, and a 200 to that would count",
    ),
    "a POST whose peer closes behind its answer": Exchange(
        answers=(then_close(OK),),
        method="POST",
        requests=3,
        ours="200 ok, 200 ok, 200 ok; 3 sent, 3 connected",
        theirs="200 ok, failed, 200 ok; 2 sent, 2 connected",
        why="the next request does not meet a connection that is just being closed",
    ),
    "a DELETE whose kept connection closes": Exchange(
        answers=(OK, then_close(b""), OK),
        method="DELETE",
        requests=2,
        ours="200 ok, failed; 2 sent, 1 connected",
        theirs="200 ok, 200 ok; 3 sent, 2 connected",
        why="it may have been done",
    ),
    "a PUT whose kept connection closes": Exchange(
        answers=(OK, then_close(b""), OK),
        method="PUT",
        requests=2,
        ours="200 ok, failed; 2 sent, 1 connected",
        theirs="200 ok, 200 ok; 3 sent, 2 connected",
        why="it may have been done",
    ),
    "an OPTIONS whose kept connection closes": Exchange(
        answers=(OK, then_close(b""), OK),
        method="OPTIONS",
        requests=2,
        ours="200 ok, failed; 2 sent, 1 connected",
        theirs="200 ok, 200 ok; 3 sent, 2 connected",
        why="only GET and HEAD are repeated",
    ),
    "a GET whose new connection closes": Exchange(
        answers=(then_close(b""), OK),
        ours="failed; 1 sent, 1 connected",
        theirs="200 ok; 2 sent, 2 connected",
        why="only a kept connection may have been closing already",
    ),
    "a GET whose answer had begun": Exchange(
        answers=(OK, then_close(b"HTTP/1.1 2"), OK),
        requests=2,
        ours="200 ok, failed; 2 sent, 1 connected",
        theirs="200 ok, 200 ok; 3 sent, 2 connected",
        why="the server has read the request",
    ),
}

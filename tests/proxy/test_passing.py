"""What clients read through the proxy counts for the jobs that are watched, without a worker."""

import gzip

import msgspec
import pytest

from bridge.domain.ids import read_callback_job
from tests.e2e.processes import until
from tests.proxy.wire import PATIENCE_S, Proxied

READ = b"GET /v1/sync-jobs/s1 HTTP/1.1"
RUNS = msgspec.json.encode({"data": {"id": "s1", "status": "running"}})
ENDED = msgspec.json.encode({"data": {"id": "s1", "status": "completed"}})


def write(body: bytes, *fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([line, b"Content-Type: application/json", length, *fields, b"", body])


def write_chunks(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (b"1\r\n%c\r\n" % byte for byte in body)
    return head + b"".join(chunks) + b"0\r\n\r\n"


async def watch(proxied: Proxied) -> str:
    made = await proxied.api.register(kind="sync_job", job_id="s1")
    key = read_callback_job(made["id"])
    assert key is not None
    return key


async def count_polls(proxied: Proxied, key: str) -> int:
    loaded = await proxied.api.services.store.load_log(key)
    return loaded.record.polls if loaded else 0


async def until_polls(proxied: Proxied, key: str, number: int) -> None:
    async def look() -> bool:
        return await count_polls(proxied, key) == number

    await until(look, within_s=PATIENCE_S, every_s=0.01)


@pytest.mark.parametrize(
    "answer",
    [
        write(ENDED),
        write(gzip.compress(ENDED), b"Content-Encoding: gzip"),
        write_chunks(ENDED),
    ],
)
async def test_a_read_that_passes_ends_a_watched_job(proxied: Proxied, answer: bytes) -> None:
    """In any framing and coding that the bridge reads; the client gets it as it came."""
    key = await watch(proxied)
    proxied.upstream.answers = [answer]
    assert (await proxied.ask(READ)).status == 200
    store = proxied.api.services.store

    async def look() -> bool:
        found = [await store.load_event(each) for each in await store.indexes.job_events(key)]
        return [each.type for each in found if each] == ["sync_job.completed"]

    await until(look, within_s=PATIENCE_S, every_s=0.01)
    assert len(proxied.upstream.requests) == 1


async def test_parts_of_an_answer_conclude_nothing(proxied: Proxied) -> None:
    """What is filtered, coded otherwise, of another address or too large ends no job; the plain read counts."""
    key = await watch(proxied)
    large = ENDED[:-1] + b',"x":"%b"}' % (b"x" * 3_000_000)
    asked = [
        (b"GET /v1/sync-jobs/s1?fields=status HTTP/1.1", write(ENDED)),
        (READ, write(ENDED, line=b"HTTP/1.1 206 Partial Content")),
        (READ, write(ENDED, b"Content-Encoding: br")),
        (READ, write(ENDED, b"Content-Encoding: gzip")),
        (READ, write(large)),
        (b"GET /v1/sync-jobs/s2 HTTP/1.1", write(ENDED)),
    ]
    proxied.upstream.answers = [answer for _, answer in asked] + [write(RUNS)]
    for line, _ in asked:
        await proxied.ask(line)
    await proxied.ask(READ)
    await until_polls(proxied, key, 1)
    loaded = await proxied.api.services.store.load_job(key)
    assert loaded is not None
    assert loaded.record.ending == ""

"""Pack and unpack records (msgpack of Structs), and load many of them in one round trip."""

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Generic, TypeVar, cast

import msgspec
import structlog
from msgspec import Struct, msgpack
from msgspec.structs import astuple
from redis.asyncio import Redis

from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.callbacks import callbacks_by_id
from bridge.domain.jobs.records import Job, PollLog
from bridge.store import endpoint_keys, keys
from bridge.store.commit import Guard

R = TypeVar("R", bound=Struct)
ZLIB_FROM = 200  # bytes of JSON from which on compression saves memory
ZLIB_MARK = b"\x78"  # first byte of zlib's output; JSON never begins with it
SMALL_WINDOW_BITS = 12  # of zlib, as many bytes as `SMALL_BYTES`, so that nothing is out of its reach
SMALL_BYTES = 1 << SMALL_WINDOW_BITS
SMALL_MEMORY = 5  # zlib's memLevel, 1 to 9
MAX_OBJECT_BYTES = 8 << 20  # unpacked; more than any answer of a provider may have
UNREADABLE_RETRY_MS = 600_000  # before a queue comes to an item again whose record could not be read
MAX_NAMED = 10_000  # unreadable records that a process remembers to have named in its log
log = structlog.get_logger()
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError)
_ENCODER = msgpack.Encoder()
_CALLBACKS = Job.__struct_fields__.index("callbacks")


class UnreadableRecord(Exception):
    """A record in the store does not have the format that this version knows."""


class Loaded(Struct, Generic[R], frozen=True, gc=False):  # several are created for each poll and each attempt
    """A record with the bytes it was read from, which are the condition of its next write."""

    record: R
    raw: bytes

    def guard(self, key: str) -> Guard:
        """Return the condition of a change that depends on this record."""
        return Guard(key, self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Ids of the records to load together; `holds` takes ids of callbacks, `epochs` those of projects."""

    jobs: Sequence[str] = ()
    logs: Sequence[str] = ()
    deliveries: Sequence[str] = ()
    events: Sequence[str] = ()
    holds: Sequence[str] = ()
    epochs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """The records that exist, by id. `holds` are the milliseconds that are left, `epochs` those of projects' endpoints.

    `unreadable` are the ids of jobs, deliveries and events that exist and cannot be read; the log has named them. A poll
    log that cannot be read is left out as if it did not exist: the job's next poll writes a new one.
    """

    jobs: dict[str, Loaded[Job]] = field(default_factory=dict)
    logs: dict[str, Loaded[PollLog]] = field(default_factory=dict)
    deliveries: dict[str, Loaded[Delivery]] = field(default_factory=dict)
    events: dict[str, Loaded[EventRecord]] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


def pack(record: Struct) -> bytes:
    """Return a record as bytes, which are the same for equal records."""
    return _ENCODER.encode(record)


def pack_job(job: Job) -> bytes:
    """Return a job's record as bytes, which are the same for equal jobs.

    Fields at the end that have their defaults are left out, in its callbacks too: readers of every version put them in, and
    there is a record of each watched job in memory.
    """
    row = _leave_out_defaults(job)
    if len(row) > _CALLBACKS:
        row[_CALLBACKS] = [_leave_out_defaults(each) for each in callbacks_by_id(job).values()]
    return _ENCODER.encode(row)


def _leave_out_defaults(record: Struct) -> list[Any]:
    row = list(astuple(record))
    kept = len(row)
    for default in reversed(record.__struct_defaults__):
        if row[kept - 1] != default:
            break
        kept -= 1
    del row[kept:]
    return row


@cache
def _decoder(kind: type[R]) -> msgpack.Decoder[R]:
    return msgpack.Decoder(kind)


def unpack(kind: type[R], raw: bytes) -> R:
    """Return a record from its bytes; raise `UnreadableRecord`, whose message shows no content."""
    try:
        return cast("R", _decoder(kind).decode(raw))  # `cache` loses the type
    except _UNDECODABLE as broken:
        raise _name_unreadable(kind, raw) from broken


def _name_unreadable(kind: type[Struct], raw: bytes) -> UnreadableRecord:
    return UnreadableRecord(f"a {kind.__name__} of {len(raw)} bytes")


def log_unreadable(table: str, key: str, error: UnreadableRecord) -> None:
    """Log once in each process which record is passed over; without the traceback, which may quote the content."""
    _log_once(table, key, str(error))


@lru_cache(maxsize=MAX_NAMED)
def _log_once(table: str, key: str, error: str) -> None:
    log.error("store.record_unreadable", table=table, key=key, error=error)


def pack_object(value: Any) -> bytes:
    """Return an observed object as bytes: JSON, compressed if it is large enough.

    Infinite numbers become null, which `providers/body.py` has made of them already.
    """
    try:
        plain = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate somewhere
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(plain) <= ZLIB_FROM:
        return plain
    return _deflate_small(plain) if len(plain) <= SMALL_BYTES else zlib.compress(plain)


def _deflate_small(plain: bytes) -> bytes:
    """Return what `zlib.compress` does, or nearly, in half the time, most of which it spends on clearing its tables."""
    deflate = zlib.compressobj(wbits=-SMALL_WINDOW_BITS, memLevel=SMALL_MEMORY)
    head, check = ZLIB_MARK + b"\x9c", zlib.adler32(plain).to_bytes(4)
    return b"%b%b%b%b" % (head, deflate.compress(plain), deflate.flush(), check)  # RFC 1950, section 2.2


def unpack_object(raw: bytes) -> Any:
    """Return an object from the bytes of `pack_object`; raise `UnreadableRecord`, also for more than 8 MiB."""
    try:
        return json.loads(_inflate(raw) if raw[:1] == ZLIB_MARK else raw)
    except (zlib.error, ValueError):
        raise UnreadableRecord(f"an observed object of {len(raw)} bytes") from None


def _inflate(raw: bytes) -> bytes:
    inflate = zlib.decompressobj()
    plain = inflate.decompress(raw, MAX_OBJECT_BYTES)
    if not inflate.eof:
        raise UnreadableRecord("an observed object is cut off or too large")
    return plain


TABLES: Mapping[type[Struct], str] = {
    Job: "jobs",
    PollLog: "logs",
    Delivery: "deliveries",
    EventRecord: "events",
}


class _PipelinedReads:
    """MGETs in one pipeline, one for each shard and type, and where their answers belong."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._asked: list[tuple[dict[str, Any], type[Struct] | None, list[str]]] = []
        self.unreadable: set[tuple[type[Struct], str]] = set()

    def ask_raw(self, found: dict[str, bytes], place: Any, ids: Sequence[str]) -> None:
        self.ask(found, None, place, ids)

    def ask(self, found: dict[str, Any], kind: type[Struct] | None, place: Any, ids: Sequence[str]) -> None:
        by_shard: dict[str, dict[str, str]] = defaultdict(dict)
        for identifier in ids:
            name = place(identifier)
            by_shard[name[1]][identifier] = name  # a key begins with its shard: `{a}:`
        for names in by_shard.values():
            self._pipe.execute_command("MGET", *names.values())
            self._asked.append((found, kind, list(names)))

    def take(self, answers: list[Any]) -> None:
        """Put the answers where they belong; log those that cannot be read, and keep their ids."""
        for (found, kind, some), raws in zip(self._asked, answers, strict=True):
            there = ((identifier, raw) for identifier, raw in zip(some, raws, strict=True) if raw is not None)
            if kind is None:
                found.update(there)
            else:
                self._unpack(found, kind, there)

    def _unpack(self, found: dict[str, Any], kind: type[Struct], there: Iterable[tuple[str, bytes]]) -> None:
        decode = _decoder(kind).decode
        for identifier, raw in there:
            try:
                found[identifier] = Loaded(decode(raw), raw)
            except _UNDECODABLE:
                self.unreadable.add((kind, identifier))
                log_unreadable(TABLES[kind], identifier, _name_unreadable(kind, raw))


async def load_many(redis: Redis, wanted: Wanted) -> RecordBatch:
    """Load records in one round trip; a second one is needed if there are holds. None that is unreadable stops others."""
    page, pipe = RecordBatch(), redis.pipeline(transaction=False)
    reads = _PipelinedReads(pipe)
    reads.ask(page.jobs, Job, keys.job, wanted.jobs)
    reads.ask(page.logs, PollLog, keys.poll_log, wanted.logs)
    reads.ask(page.deliveries, Delivery, keys.delivery, wanted.deliveries)
    reads.ask(page.events, EventRecord, keys.event, wanted.events)
    held: dict[str, bytes] = {}
    reads.ask_raw(held, keys.hold, wanted.holds)
    for project in wanted.epochs:
        pipe.execute_command("HGET", endpoint_keys.endpoints(project), endpoint_keys.EPOCH)
    answers = await pipe.execute()
    asked = len(answers) - len(wanted.epochs)
    reads.take(answers[:asked])
    for project, epoch in zip(wanted.epochs, answers[asked:], strict=True):
        page.epochs[project] = int(epoch or 0)
    page.unreadable.update(identifier for kind, identifier in reads.unreadable if kind is not PollLog)
    if held:
        page.holds.update(await _load_hold_times(redis, list(held)))
    return page


async def _load_hold_times(redis: Redis, callbacks: Sequence[str]) -> dict[str, int]:
    """Return the milliseconds left of existing holds."""
    pipe = redis.pipeline(transaction=False)
    for callback in callbacks:
        pipe.pttl(keys.hold(callback))
    lasting = zip(callbacks, await pipe.execute(), strict=True)
    return {callback: int(left) for callback, left in lasting if left > 0}

"""Records between Redis and the domain: msgpack of Structs, one batch of reads for a page of work."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from msgspec import Struct, msgpack
from redis.asyncio import Redis

from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.records import Job, PollLog
from bridge.store import keys
from bridge.store.commit import Guard

R = TypeVar("R", bound=Struct)
ZLIB_FROM = 200  # bytes of JSON from which compression pays
ZLIB_MARK = 0x78  # no JSON object starts so
LARGEST_OBJECT = 8 << 20  # bytes an object may have unpacked: more than any answer that is read from upstream
_ENCODER = msgpack.Encoder()


class UnreadableRecord(Exception):
    """A record in the store does not have the shape that this version knows."""


class Loaded(Struct, Generic[R], frozen=True, gc=False):  # several are made for every read and every attempt
    """A record with the bytes it was read from, which guard its next write."""

    record: R
    raw: bytes

    def guard(self, key: str) -> Guard:
        """What a change that rests on this record must demand."""
        return Guard(key, self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Ids of the records to read together; `holds` takes callback ids."""

    jobs: Sequence[str] = ()
    logs: Sequence[str] = ()
    deliveries: Sequence[str] = ()
    events: Sequence[str] = ()
    holds: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """What was found, by id; what is absent is left out. `holds` gives the ms left."""

    jobs: dict[str, Loaded[Job]] = field(default_factory=dict)
    logs: dict[str, Loaded[PollLog]] = field(default_factory=dict)
    deliveries: dict[str, Loaded[Delivery]] = field(default_factory=dict)
    events: dict[str, Loaded[EventRecord]] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)


def pack(record: Struct) -> bytes:
    """Give a record's bytes; equal records have equal bytes."""
    return _ENCODER.encode(record)


@cache
def _decoder(kind: type[R]) -> msgpack.Decoder[R]:
    return msgpack.Decoder(kind)


def unpack(kind: type[R], raw: bytes) -> R:
    """Read a record; raise `UnreadableRecord`, which shows no content."""
    try:
        return cast("R", _decoder(kind).decode(raw))  # `cache` forgets the type
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise UnreadableRecord(f"a {kind.__name__} of {len(raw)} bytes") from broken


def pack_object(value: Any) -> bytes:
    """Give an observed object's bytes: JSON with every number as it came, compressed where that pays."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return plain if len(plain) <= ZLIB_FROM else zlib.compress(plain)


def unpack_object(raw: bytes) -> Any:
    """Read what `pack_object` gave; raise `UnreadableRecord` for more than 8 MiB."""
    if raw[0] != ZLIB_MARK:
        return json.loads(raw)
    inflate = zlib.decompressobj()
    plain = inflate.decompress(raw, LARGEST_OBJECT)
    if not inflate.eof:
        raise UnreadableRecord("an observed object is cut off or too large")
    return json.loads(plain)


class _Reads:
    """MGETs by shard in one pipeline, and who gets which answer."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._asked: list[tuple[dict[str, Any], type[Struct] | None, list[str]]] = []

    def ask_raw(self, found: dict[str, bytes], place: Any, ids: Sequence[str]) -> None:
        self.ask(found, None, place, ids)

    def ask(self, found: dict[str, Any], kind: type[Struct] | None, place: Any, ids: Sequence[str]) -> None:
        by_shard: dict[str, dict[str, str]] = {}
        for identifier in ids:
            name = place(identifier)
            by_shard.setdefault(name[1], {})[identifier] = name  # a key begins with its shard: `{a}:`
        for names in by_shard.values():
            self._pipe.execute_command("MGET", *names.values())
            self._asked.append((found, kind, list(names)))

    def take(self, answers: list[Any]) -> None:
        """Fill what was asked for."""
        for (found, kind, some), raws in zip(self._asked, answers, strict=True):
            for identifier, raw in zip(some, raws, strict=True):
                if raw is not None:
                    found[identifier] = raw if kind is None else Loaded(unpack(kind, raw), raw)


async def load_many(redis: Redis, wanted: Wanted) -> RecordBatch:
    """Read a page of records in one round trip; holds that are there cost a second one."""
    page, pipe = RecordBatch(), redis.pipeline(transaction=False)
    reads = _Reads(pipe)
    reads.ask(page.jobs, Job, keys.job, wanted.jobs)
    reads.ask(page.logs, PollLog, keys.poll_log, wanted.logs)
    reads.ask(page.deliveries, Delivery, keys.delivery, wanted.deliveries)
    reads.ask(page.events, EventRecord, keys.event, wanted.events)
    held: dict[str, bytes] = {}
    reads.ask_raw(held, keys.hold, wanted.holds)
    reads.take(await pipe.execute())
    if held:
        page.holds.update(await _time_holds(redis, list(held)))
    return page


async def _time_holds(redis: Redis, callbacks: Sequence[str]) -> dict[str, int]:
    """Ask how long holds last; they are few and short, so it is asked only of those that are there."""
    pipe = redis.pipeline(transaction=False)
    for callback in callbacks:
        pipe.pttl(keys.hold(callback))
    lasting = zip(callbacks, await pipe.execute(), strict=True)
    return {callback: int(left) for callback, left in lasting if left > 0}

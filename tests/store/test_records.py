"""Records come back as they were written; what does not is named without being shown."""

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.store import keys
from bridge.store.records import (
    UnreadableRecord,
    Wanted,
    load_many,
    pack,
    pack_job,
    pack_object,
    unpack,
    unpack_object,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def callback(**fields: Any) -> Callback:
    given: dict[str, Any] = {
        "id": "cb_a1",
        "state": CallbackState.WATCHING,
        "created_ms": 1,
        "url": b"\xff\x00",
        "origin": "inbox:",
    }
    return Callback(**(given | {"masked": "", "fingerprint": b"f" * 16} | fields))


def job(**fields: Any) -> Job:
    given: dict[str, Any] = {
        "project": "prj_1",
        "account": "acc_1",
        "kind": "sync_job",
        "id": "1",
        "born_ms": 1,
    }
    return Job(**(given | {"state": JobState.WATCHING, "run": 1, "run_ms": 1, "clock_ms": 1} | fields))


def delivery(identifier: str) -> Delivery:
    return Delivery(
        id=identifier,
        event="evt_a",
        job="a1",
        subscription="cb_a1",
        project="prj_1",
        lane="x",
        state=DeliveryState.PENDING,
        created_ms=1,
    )


def event(identifier: str, project: str = "prj_1") -> EventRecord:
    return EventRecord(
        id=identifier, type="sync_job.completed", project=project, job="a1", at_ms=1, body=b"{}"
    )


@pytest.mark.parametrize(
    "record",
    [
        job(callbacks=(callback(), callback(id="cb_a2", metadata={"order": [1, None]}, headers=b"\x00"))),
        job(emitted=("completed",), parts=(("i1", ""), ("i2", "failed"))),
        PollLog(polls=3, digest=b"\x01\x02"),
        delivery("dlv_a"),
        event("evt_a"),
    ],
)
def test_a_record_comes_back_equal(record: Any) -> None:
    """Enums, tuples, bytes and free metadata included."""
    assert unpack(type(record), pack(record)) == record


@pytest.mark.parametrize(
    "record",
    [
        job(),
        job(callbacks=(callback(), callback(id="cb_a2", late=False), callback(id="cb_a3", expires_ms=9))),
        job(callbacks=(callback(metadata=0, once=False),), status="running", seen=True),
        job(claimed="x"),  # nothing at the end can be left out
    ],
)
def test_a_job_is_stored_without_the_defaults_at_its_end(record: Job) -> None:
    """It is shorter than all of its fields where it can be, and comes back equal, as what 0.1 wrote does."""
    short, whole = pack_job(record), pack(record)
    assert unpack(Job, short) == unpack(Job, whole) == record
    assert pack_job(unpack(Job, whole)) == short
    assert len(short) < len(whole) or record.claimed


def test_a_record_of_an_older_version_has_the_defaults_of_new_fields() -> None:
    """Records are arrays: what a newer version appended is missing from an old one."""
    whole = pack(PollLog(polls=7))
    assert whole[0] == 0x90 + len(PollLog.__struct_fields__)  # an array
    assert unpack(PollLog, b"\x91" + whole[1:2]) == PollLog(polls=7)


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x91\xa1x", b"\x91\xa1\xff", b"{}"])
def test_an_unreadable_record_is_named_not_shown(raw: bytes) -> None:
    """The error tells type and size only: the bytes may be sealed or private."""
    with pytest.raises(UnreadableRecord, match=rf"a PollLog of {len(raw)} bytes"):
        unpack(PollLog, raw)


@given(value=st.dictionaries(st.text(), JSON, max_size=8))
def test_an_observed_object_comes_back_as_it_was(value: dict[str, Any]) -> None:
    """Numbers of any size and lone surrogates too."""
    assert unpack_object(pack_object(value)) == value


@pytest.mark.parametrize(
    "size", [0, 190, 191, 192, 300, 4_085, 4_086, 4_087, 4_088, 20_000]
)  # around both limits
def test_an_object_of_any_size_is_what_earlier_versions_read(size: int) -> None:
    """JSON, or from 200 bytes on zlib's own format, whichever way it was compressed."""
    value = {"text": "".join(chr(97 + place * place % 26) for place in range(size))}
    packed = pack_object(value)
    assert json.loads(zlib.decompress(packed) if packed[:1] == b"x" else packed) == value
    assert (packed[:1] == b"x") is (size > 200 - len('{"text":""}'))


def test_a_long_object_is_compressed_and_a_bomb_is_refused() -> None:
    """What pays is compressed; what would unpack to more than the limit is not unpacked."""
    assert len(pack_object({"text": "word " * 500})) < 200
    with pytest.raises(UnreadableRecord, match="too large"):
        unpack_object(pack_object("x" * (9 << 20)))


async def test_a_page_is_read_in_one_round_trip(redis: Redis) -> None:
    """Jobs, logs, deliveries, events and holds of several shards; what is absent is left out."""
    await redis.set(keys.job("a1"), pack(job()))
    await redis.set(keys.job("b1"), pack(job(id="b")))
    await redis.set(keys.poll_log("a1"), pack(PollLog(polls=2)))
    await redis.set(keys.delivery("dlv_b1"), pack(delivery("dlv_b1")))
    await redis.set(keys.event("evt_a1"), pack(event("evt_a1")))
    await redis.set(keys.hold("cb_a1"), b"1", px=60_000)
    wanted = Wanted(
        jobs=("a1", "b1", "a1", "a9"),
        logs=("a1", "b1"),
        deliveries=("dlv_b1", "dlv_a9"),
        events=("evt_a1",),
        holds=("cb_a1", "cb_b1"),
    )
    page = await load_many(redis, wanted)
    assert {key: loaded.record.id for key, loaded in page.jobs.items()} == {"a1": "1", "b1": "b"}
    assert page.jobs["a1"].guard(keys.job("a1")).value == await redis.get(keys.job("a1"))
    assert list(page.logs) == ["a1"]
    assert list(page.deliveries) == ["dlv_b1"]
    assert page.events["evt_a1"].record == event("evt_a1")
    assert list(page.holds) == ["cb_a1"]
    assert 0 < page.holds["cb_a1"] <= 60_000
    assert await load_many(redis, Wanted()) == type(page)()

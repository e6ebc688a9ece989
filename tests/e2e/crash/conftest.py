"""One service to be killed, on a disk that can be made slow, for all tests of a run."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.crash.job_plans import SIMULATOR_SPEED
from tests.e2e.crash.killable_service import Service, running_service
from tests.e2e.crash.received_posts import ReceivedPosts, recording_receivers
from tests.e2e.crash.slow_disk import Disk, build_disk
from tests.e2e.crash.soak_options import SEED
from tests.e2e.processes import running_simulator


@pytest.fixture(scope="session")
def any_disk(tmp_path_factory: pytest.TempPathFactory) -> Disk | None:
    return build_disk(tmp_path_factory.mktemp("disk"))


UNREACHED_LIMIT = 1_000_000


@pytest.fixture
def disk(any_disk: Disk | None) -> Disk:
    if any_disk is None:
        pytest.skip("no C compiler to make the disk slow with")
    return any_disk


@pytest.fixture(scope="session")
def session_service(any_disk: Disk | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = any_disk.environment if any_disk else {}
    with (
        running_simulator(speed=SIMULATOR_SPEED) as simulator,
        running_service(simulator, tmp_path_factory.mktemp("crash"), **settings) as running,
    ):
        yield running


@pytest.fixture
async def service(session_service: Service) -> Service:
    """Rate limits are tested elsewhere: this upstream has one that nothing here reaches."""
    switches = {
        "rate_api_key_per_minute": UNREACHED_LIMIT,
        "reelbot_status_per_minute": UNREACHED_LIMIT,
        "rate_reset": "ms",
    }
    await session_service.simulator.control("PUT", "/switches", switches)
    await session_service.wait_ready()
    return session_service


@pytest.fixture
async def received() -> AsyncIterator[ReceivedPosts]:
    async with recording_receivers(SEED) as running:
        yield running

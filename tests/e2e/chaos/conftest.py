"""One service that faults are injected into, on a disk that can be made slow, and receivers of many moods."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.chaos.moody_receivers import MoodyReceivers, moody_receivers
from tests.e2e.crash.conftest import any_disk, service
from tests.e2e.crash.job_plans import SIMULATOR_SPEED
from tests.e2e.crash.killable_service import Service, running_service
from tests.e2e.crash.slow_disk import Disk
from tests.e2e.crash.soak_options import SEED
from tests.e2e.processes import running_simulator

__all__ = ["any_disk", "service"]
# Few enough for those that are refused for ever to be parked soon, and more than bad luck takes.
RETRIES = "0.2,0.4,0.8,1,1,1,1,1,1,1"


@pytest.fixture(scope="session")
def session_service(any_disk: Disk | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"REELBRIDGE_RETRY_SCHEDULE": RETRIES} | (any_disk.environment if any_disk else {})
    with (
        running_simulator(speed=SIMULATOR_SPEED) as simulator,
        running_service(simulator, tmp_path_factory.mktemp("chaos"), **settings) as running,
    ):
        yield running


@pytest.fixture
async def received() -> AsyncIterator[MoodyReceivers]:
    async with moody_receivers(SEED) as running:
        yield running

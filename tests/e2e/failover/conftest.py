"""How much is registered: a little in `make test`, more in `make failover`."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.processes import Simulator, running_simulator

IS_FULL = "REELBRIDGE_FAILOVER" in os.environ


@pytest.fixture(scope="session")
def registrations() -> int:
    return 300 if IS_FULL else 80


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator() as running:
        yield running

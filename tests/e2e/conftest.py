"""One simulator and one bridge for all tests of a run; a receiver for each."""

import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.processes import (  # a folder without a package
    Bridge,
    Receiver,
    Simulator,
    running_bridge,
    running_receiver,
    running_simulator,
)

# A shell starts background jobs with SIGINT ignored, and what they start inherits that: Ctrl-C would do nothing there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture(scope="session")
def bridge(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with running_bridge(simulator, tmp_path_factory.mktemp("bridge")) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running

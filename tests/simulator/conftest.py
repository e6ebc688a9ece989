"""A simulator behind a real socket, with a clock that tests move."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.simulator_client import Sim, SimMaker


@pytest.fixture
async def make_sim() -> AsyncIterator[SimMaker]:
    """Return a function that starts a simulator with any configuration; all are stopped at the end."""
    maker = SimMaker()
    yield maker
    await maker.close()


@pytest.fixture
async def sim(make_sim: SimMaker) -> Sim:
    """Return a running simulator at speed 1."""
    return await make_sim()

"""A start on a store at its memory limit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.container import bootstrap, open_services
from tests.api.serving import make_settings
from tests.api.store_server import running_store


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Path]:
    """The socket of a full store, on which a bridge with one account has run."""
    with running_store(tmp_path) as socket:
        async with open_services(make_settings(socket, REELBOT_API_KEY=None)) as services:
            await bootstrap(services)
            await services.store.redis.config_set("maxmemory", "1")
        yield socket


async def test_a_start_with_changed_and_new_credentials_goes_on(full: Path) -> None:
    """The changed one is used from now on; the log names the provider whose account could not be created."""
    async with open_services(make_settings(full, REELMIRROR_API_KEY="rm_" + "n" * 32)) as services:
        with capture_logs() as logs:
            await bootstrap(services)
        (account,) = await services.store.accounts.all()
        assert await services.store.accounts.credential(account.id) == "rm_" + "n" * 32
    named = [each["provider"] for each in logs if each["event"] == "start.account_not_created"]
    assert named == ["reelbot"]

"""Run a command against a bridge, with the API key that this machine has."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType

from bridge.cli.local.api_client import ApiClient, local_url
from bridge.cli.local.errors import CommandError
from bridge.cli.local.key_files import find_api_key
from bridge.config.settings import load_settings

SECRET_VARIABLE = "REELBRIDGE_SIGNING_SECRET"  # noqa: S105 -- a variable's name
TERMINATED = 128 + signal.SIGTERM
Use = Callable[[ApiClient], Awaitable[int]]


def run_remote(use: Use, *, bridge: str | None = None) -> int:
    """Call a function with a client of the bridge at a URL, by default of this machine's; return its exit status.

    SIGTERM ends it as Ctrl-C does, so that a terminal is left as it was.
    """
    signal.signal(signal.SIGTERM, _end)
    return asyncio.run(_with_api(use, bridge))


async def _with_api(use: Use, bridge: str | None) -> int:
    settings = load_settings()
    url = local_url(settings) if bridge is None else _check_url(bridge)
    async with ApiClient(url, find_api_key(settings)) as api:
        return await use(api)


def _check_url(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    if scheme.lower() not in ("http", "https") or not mark or not rest:
        raise CommandError("--bridge: write a whole URL, such as https://bridge.example.com")
    return url


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)


def find_signing_secret() -> str:
    """Return the signing secret from the environment, else that of the running bridge's project of this key.

    Raise `CommandError` when neither has one.
    """
    found: list[str] = []

    async def use(api: ApiClient) -> int:
        found.append(await fetch_signing_secret(api))
        return 0

    given = os.environ.get(SECRET_VARIABLE)
    if not given:
        run_remote(use)
    return given or found[0]


async def fetch_signing_secret(api: ApiClient) -> str:
    """Return the project's signing secret, from the environment if it is there; raise `CommandError` without one."""
    if given := os.environ.get(SECRET_VARIABLE):
        return given
    answer = await api.call("GET", "/v1/secrets/default")
    secret = answer.get("secret") if isinstance(answer, dict) else None
    if not isinstance(secret, str):
        raise CommandError(f"the bridge did not give its signing secret: set {SECRET_VARIABLE}")
    return secret

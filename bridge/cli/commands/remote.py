"""Commands that call a running bridge, with the API key that this machine has."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from rich.console import Console

from bridge.cli.commands import keys
from bridge.cli.local.api_client import ApiClient, local_url
from bridge.cli.local.errors import CommandError
from bridge.cli.local.key_files import find_api_key
from bridge.config.settings import load_settings

SECRET_VARIABLE = "REELBRIDGE_SIGNING_SECRET"  # noqa: S105 -- a variable's name


def list_keys() -> int:
    """Print all API keys; return the exit status."""
    return _with_api(lambda api: keys.list_keys(api, Console()))


def create_key(name: str, scopes: Sequence[str]) -> int:
    """Create an API key and print it once; return the exit status."""
    return _with_api(lambda api: keys.create_key(api, Console(), name=name, scopes=scopes))


def revoke_key(key_id: str) -> int:
    """Revoke an API key; return the exit status."""
    return _with_api(lambda api: keys.revoke_key(api, Console(), key_id))


def find_signing_secret() -> str:
    """Return the signing secret from the environment, else that of project `default` from the running bridge.

    Raise `CommandError` when neither has one.
    """
    given = os.environ.get(SECRET_VARIABLE)
    if given:
        return given
    found: list[str] = []

    async def fetch(api: ApiClient) -> None:
        answer = await api.call("GET", "/v1/secrets/default")
        if isinstance(answer, dict) and isinstance(answer.get("secret"), str):
            found.append(answer["secret"])

    _with_api(fetch)
    if not found:
        raise CommandError(f"the bridge did not give its signing secret: set {SECRET_VARIABLE}")
    return found[0]


def _with_api(use: Callable[[ApiClient], Awaitable[None]]) -> int:
    async def run() -> None:
        settings = load_settings()
        async with ApiClient(local_url(settings), find_api_key(settings)) as api:
            await use(api)

    asyncio.run(run())
    return 0

"""`reelbridge keys`: list, create and revoke API keys of a running bridge."""

from collections.abc import Sequence
from typing import Final

from bridge.cli.local.api_client import ApiClient
from bridge.cli.local.errors import CommandError
from bridge.cli.remote.lists import PAGE, Listing, join, read_rows
from bridge.cli.remote.output import show_json, show_line
from bridge.domain.printable import printable

MOST_KEYS = 100_000
KEYS: Final = Listing(
    path="/v1/keys",
    columns=("id", "name", "scopes", "project_id", "created_at"),
    empty="no keys",
)


async def list_keys(api: ApiClient, *, as_json: bool) -> int:
    """Print the newest keys, without their secrets: the bridge keeps only hashes of those."""
    return await KEYS.show(api, {}, limit=PAGE, as_json=as_json)


async def create_key(api: ApiClient, *, name: str, scopes: Sequence[str], as_json: bool) -> int:
    """Create a key and print it; it cannot be shown again later."""
    made = await api.call("POST", "/v1/keys", {"name": name, "scopes": list(scopes)})
    key = made.get("key") if isinstance(made, dict) else None
    if not isinstance(key, str):
        raise CommandError(
            "the bridge made a key but did not show it: revoke it with `reelbridge keys list` and revoke"
        )
    if as_json:
        show_json(made)
        return 0
    show_line(f"{made.get('id')}  {name}  {' '.join(scopes)}")
    show_line(key)
    show_line("Keep it now: it is not shown again.")
    return 0


async def revoke_key(api: ApiClient, key_id: str, *, as_json: bool) -> int:
    """Revoke a key with immediate effect; raise `CommandError` for an id that is no key's, since a slip must not pass."""
    known, _ = await read_rows(api, KEYS.path, {}, limit=MOST_KEYS)
    if not any(key.get("id") == key_id for key in known):
        raise CommandError(
            f"there is no key {printable(key_id)} in this project: `reelbridge keys list` shows those that exist"
        )
    answer = await api.call("DELETE", join(KEYS.path, key_id))
    if as_json:
        show_json(answer)
    else:
        show_line(f"{key_id} is revoked")
    return 0

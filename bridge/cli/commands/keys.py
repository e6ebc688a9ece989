"""`reelbridge keys`: list, create and revoke API keys of a running bridge."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.local.api_client import ApiClient
from bridge.cli.local.errors import CommandError
from bridge.domain.printable import printable

MAX_PAGES = 1_000  # of a hundred keys each
ONE_LINE = 1_000  # characters, more than a key takes


async def list_keys(api: ApiClient, console: Console) -> None:
    """Print a table of the keys, without their secrets: the bridge keeps only hashes of those.

    Where no terminal has a width, each key is one line.
    """
    answer = await api.call("GET", "/v1/keys?limit=100")
    if not console.is_terminal:
        console.width = max(console.width, ONE_LINE)
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)  # to be copied for `keys revoke`
    for title in ("name", "scopes", "project"):
        table.add_column(title, overflow="fold")
    table.add_column("created", no_wrap=True)
    for key in _rows(answer):
        scopes = key.get("scopes")
        table.add_row(
            _cell(key.get("id")),
            _cell(key.get("name")),
            _cell(" ".join(map(str, scopes)) if isinstance(scopes, list) else ""),
            _cell(key.get("project_id") or key.get("project")),
            _cell(key.get("created_at")),
        )
    console.print(table)
    if isinstance(answer, dict) and answer.get("next_cursor"):
        console.print("(more keys exist than the 100 newest)")


async def create_key(api: ApiClient, console: Console, *, name: str, scopes: Sequence[str]) -> None:
    """Create a key and print it; it cannot be shown again later."""
    made = await api.call("POST", "/v1/keys", {"name": name, "scopes": list(scopes)})
    key = made.get("key") if isinstance(made, dict) else None
    if not isinstance(key, str):
        raise CommandError(
            "the bridge made a key but did not show it: revoke it with `reelbridge keys list` and revoke"
        )
    console.print(_cell(f"{made.get('id')}  {name}  {' '.join(scopes)}"), soft_wrap=True)
    console.print(_cell(key), soft_wrap=True)
    console.print("Keep it now: it is not shown again.")


async def revoke_key(api: ApiClient, console: Console, key_id: str) -> None:
    """Revoke a key with immediate effect; raise `CommandError` for an id that is no key's, since a slip must not pass."""
    if not await _is_known(api, key_id):
        raise CommandError(
            f"there is no key {printable(key_id)} in this project: `reelbridge keys list` shows those that exist"
        )
    await api.call("DELETE", f"/v1/keys/{quote(key_id, safe='')}")
    console.print(_cell(f"{key_id} is revoked"), soft_wrap=True)


async def _is_known(api: ApiClient, key_id: str) -> bool:
    cursor = ""
    for _ in range(MAX_PAGES):
        answer = await api.call("GET", f"/v1/keys?limit=100{cursor}")
        if any(key.get("id") == key_id for key in _rows(answer)):
            return True
        following = answer.get("next_cursor") if isinstance(answer, dict) else None
        if not following:
            break
        cursor = f"&cursor={quote(str(following), safe='')}"
    return False


def _cell(value: object) -> Text:
    """Return a value from outside as text that is neither markup nor control of the terminal."""
    return Text(printable(str(value or "")))


def _rows(answer: Any) -> list[dict[str, Any]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []

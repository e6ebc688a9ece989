"""Lists of a bridge: read page by page, up to as many rows as are wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from bridge.cli.local.api_client import ApiClient
from bridge.cli.remote.output import show_json, show_line, show_table
from bridge.domain.counts import choose_form

PAGE = 100
Query = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list of the API: its path, the fields that a table shows, and what to say where it is empty."""

    path: str
    columns: tuple[str, ...]
    empty: str

    async def show(self, api: ApiClient, query: Query, *, limit: int, as_json: bool) -> int:
        """Print the newest rows that fit the query; return the exit status."""
        rows, cursor = await read_rows(api, self.path, query, limit=limit)
        if as_json:
            show_json({"data": rows, "next_cursor": cursor})
            return 0
        show_table(rows, self.columns, empty=self.empty)
        if cursor:
            shown = choose_form(len(rows), "this one", f"these {len(rows)}")
            show_line(f"(there are more than {shown}: --limit)")
        return 0


async def read_rows(
    api: ApiClient, path: str, query: Query, *, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Return up to `limit` rows, newest first, and the cursor of what follows, None at the end."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {**query, "limit": min(PAGE, limit - len(found)), "cursor": cursor}
        words = urlencode({name: value for name, value in asked.items() if value is not None})
        answer = await api.call("GET", f"{path}?{words}")
        found += read_data(answer)
        cursor = answer.get("next_cursor") if isinstance(answer, dict) else None
        if not isinstance(cursor, str) or len(found) >= limit:
            return found[:limit], cursor if isinstance(cursor, str) else None


def read_data(answer: Any) -> list[dict[str, Any]]:
    """Return the rows of a page, those that are objects."""
    data: Sequence[Any] = answer.get("data") or () if isinstance(answer, dict) else ()
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def join(path: str, *parts: str) -> str:
    """Return a path with further parts, whatever characters these have."""
    return "/".join((path, *(quote(part, safe="") for part in parts)))

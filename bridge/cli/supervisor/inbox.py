"""Print each signed callback that arrives in the inbox, in a readable form."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from bridge.cli.local.api_client import ApiClient
from bridge.cli.local.errors import CommandError
from bridge.domain.counts import say_count

POLL_INTERVAL_S = 0.5
MAX_BODY_LINES = 40
SHOWN_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
MARKS = {"succeeded": "✔", "failed": "✘", "partial": "◐"}


async def follow_inbox(api: ApiClient, show: Callable[[str], None]) -> None:
    """Print what arrives from now on, oldest first, until cancelled; keep trying while the API is away."""
    seen: set[str] | None = None
    while True:
        try:
            entries = _read_entries(await api.call("GET", "/v1/inbox"))
        except CommandError:
            entries = None  # the API is being restarted; its supervisor reports that
        if entries is not None:
            for entry in reversed(entries):
                if seen is not None and entry["id"] not in seen:
                    for line in describe_entry(entry):
                        show(line)
            seen = {entry["id"] for entry in entries}
        await asyncio.sleep(POLL_INTERVAL_S)


def _read_entries(answer: Any) -> list[Mapping[str, Any]] | None:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        return None
    return [entry for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)]


def describe_entry(entry: Mapping[str, Any]) -> list[str]:
    """Return the lines that show one callback: event type and outcome, signature headers, body."""
    body = entry.get("body")
    headers = entry.get("headers")
    headers = (
        {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, dict) else {}
    )
    facts = body if isinstance(body, dict) else {}
    outcome = str(facts.get("outcome") or "")
    mark = MARKS.get(outcome, "●")
    first = f"{mark} {facts.get('type', 'callback')}  job {facts.get('job_id', '?')}  {outcome}".rstrip()
    signed = [f"    {name}: {headers[name]}" for name in SHOWN_HEADERS if name in headers]
    text = json.dumps(body, indent=2, ensure_ascii=False).splitlines()
    left_out = len(text) - MAX_BODY_LINES
    more = [f"    … {say_count(left_out, 'more line')}"] if left_out > 0 else []
    return [first, *signed, *(f"    {line}" for line in text[:MAX_BODY_LINES]), *more]

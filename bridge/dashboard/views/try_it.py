"""Try it: register a job with a form, see the same as curl, and look at what arrives in the inbox."""

import json
import secrets
import shlex
from collections.abc import Mapping
from typing import Any

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.views.rows import show_watched
from bridge.providers.registry import KINDS
from bridge.services.polling.watched import list_watched

WATCHED = 10
SCOPES = frozenset({"read", "register"})


def plan_request(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of the registration that a form stands for."""
    kind, target = form.get("kind", ""), form.get("callback_url", "").strip() or "inbox:"
    request: dict[str, Any] = {"kind": kind, "id": form.get("id", "").strip(), "callback_url": target}
    if form.get("payload") not in (None, "", "full"):
        request["payload"] = form["payload"]
    if form.get("events", "").strip():
        request["events"] = [each.strip() for each in form["events"].split(",") if each.strip()]
    if form.get("metadata", "").strip():
        request["metadata"] = form["metadata"].strip()
    if form.get("once") == "false":
        request["once"] = False
    return request


def write_curl(base_url: str, request: Mapping[str, Any]) -> str:
    """Return the command that does the same as a form."""
    body = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return (
        f'curl -X POST {base_url}/v1/callbacks -H "Authorization: Bearer $REELBRIDGE_API_KEY"'
        f" -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )


async def show_form(visit: Visit, form: Mapping[str, str], *, problem: str = "") -> View:
    """Return the page with a form that is filled in."""
    services = visit.services
    kinds = [name for name, spec in KINDS.items() if spec.registrable]
    filled = {"kind": kinds[0], "id": f"demo-{secrets.token_hex(3)}", "callback_url": "inbox:", **form}
    entries = [json.loads(entry) for entry in await services.store.inbox.list(visit.project, limit=100)]
    accounts = await services.store.accounts.list_recent(visit.project) if visit.can("read") else []
    now_ms = services.clock_ms()
    watched = await list_watched(services, accounts, limit=WATCHED)
    values = {
        "kinds": kinds,
        "form": filled,
        "problem": problem,
        "curl": write_curl(visit.base_url, plan_request(filled)),
        "inbox": [_show(entry) for entry in entries],
        "rows": [show_watched(each, now_ms=now_ms, scale=services.settings.poll_scale) for each in watched],
        "now_ms": now_ms,
        "has_accounts": bool(accounts) or not visit.can("read"),
    }
    return View(title="Try it", template="try_it.html", values=values, status=400 if problem else 200)


def _show(entry: Mapping[str, Any]) -> dict[str, Any]:
    body = entry["body"]
    kind = body.get("type", "event") if isinstance(body, dict) else "event"
    return {
        "id": entry["id"],
        "type": kind,
        "received_at": entry["received_at"],
        "headers": entry["headers"],
        "body": json.dumps(body, indent=2, ensure_ascii=False),
    }


async def read_try_it(visit: Visit) -> View:
    """Read the page; its query may fill in the form."""
    names = ("kind", "id", "callback_url", "events", "metadata", "payload", "once")
    return await show_form(visit, {name: visit.query[name][:500] for name in names if name in visit.query})


PAGES = (DashboardPage(path="/try", read=read_try_it, scopes=SCOPES),)

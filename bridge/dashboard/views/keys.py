"""Keys: the project's API keys, its signing secret, and for the operator all projects."""

from typing import Final

from bridge.dashboard.page import DashboardPage, Done, View, Visit
from bridge.store.tables.apikeys import ALL_SCOPES
from bridge.store.tables.projects import DEFAULT

SHOWN: Final = 50
PATH: Final = "/settings/keys"
# What each scope is for, in the order of how much it allows.
SCOPES: Final = {
    "register": "register callbacks, and have a job read now",
    "read": "see everything but secrets",
    "manage": "endpoints, retries, recoveries",
    "proxy": "call the providers through the bridge",
    "admin": "keys, accounts, secrets",
}


async def show_keys(visit: Visit, *, made: str = "", secret: str = "", again: Done | None = None) -> View:
    """Return the page, with a key that was just made or the signing secret in clear, in this one answer.

    `again` is where the same form leads that is sent a second time.
    """
    store = visit.services.store
    keys = await store.apikeys.list(visit.project)
    projects = await store.projects.list() if visit.project == DEFAULT else []
    values = {
        "keys": keys[:SHOWN],
        "more": max(len(keys) - SHOWN, 0),
        "own": visit.key.id,
        "scopes": [(name, SCOPES[name]) for name in SCOPES if name in ALL_SCOPES],
        "made": made,
        "secret": secret,
        "projects": projects[:SHOWN],
        "more_projects": max(len(projects) - SHOWN, 0),
        "is_operator": visit.project == DEFAULT,
    }
    return View(title="Keys", template="keys.html", values=values, again=again)


async def read_keys(visit: Visit) -> View:
    """Read the page."""
    return await show_keys(visit)


PAGES = (DashboardPage(path=PATH, read=read_keys, scopes=frozenset({"admin"})),)

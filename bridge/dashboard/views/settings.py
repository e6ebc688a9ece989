"""Settings: who is signed in, how times and colours look, shortcuts, and the project's keys for an admin."""

from bridge.dashboard.page import DashboardPage, View, Visit


async def read_settings(visit: Visit) -> View:
    """Read the page."""
    store = visit.services.store
    project = await store.projects.get(visit.project)
    keys = await store.apikeys.list(visit.project) if visit.can("admin") else []
    values = {
        "project": project,
        "keys": keys[:50],
        "more": max(len(keys) - 50, 0),
        "key": visit.key,
        "scopes": sorted(visit.key.scopes),
    }
    return View(title="Settings", template="settings.html", values=values)


ANY_SCOPE = frozenset({"read", "register", "manage", "admin"})
PAGES = (DashboardPage(path="/settings", read=read_settings, scopes=ANY_SCOPE),)

"""Settings: who is signed in, how times and colours look, shortcuts, and the way to the keys for an admin."""

from bridge.dashboard.page import DashboardPage, View, Visit


async def read_settings(visit: Visit) -> View:
    """Read the page."""
    values = {
        "project": await visit.services.store.projects.get(visit.project),
        "key": visit.key,
        "scopes": sorted(visit.key.scopes),
    }
    return View(title="Settings", template="settings.html", values=values)


ANY_SCOPE = frozenset({"read", "register", "manage", "admin"})
PAGES = (DashboardPage(path="/settings", read=read_settings, scopes=ANY_SCOPE),)

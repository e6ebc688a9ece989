"""The keys of the dashboard, in the notation of `bridge.store.keys`.

Key                           Type    Content                                       Owner                Removed
{g}:session:<hash>            string  Session: who is signed in by this cookie      dashboard_table      TTL: 12 h unused, 7 d at most
{g}:action:<hash>:<id>        string  what a form that was sent led to, as JSON     dashboard_table      TTL: 10 min
{p:<prj>}:views               hash    name of a saved view -> its query             dashboard_table      never
"""


def session(digest: str) -> str:
    """Return the key of a session, by the hash of its cookie."""
    return f"{{g}}:session:{digest}"


def action(digest: str, identifier: str) -> str:
    """Return the key of what a form led to that was sent in a session."""
    return f"{{g}}:action:{digest}:{identifier}"


def views(project: str) -> str:
    """Return the key of a project's saved views."""
    return f"{{p:{project}}}:views"

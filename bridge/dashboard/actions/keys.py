"""What can be done with API keys, the signing secret and projects."""

from typing import Final

from bridge.dashboard.page import Action, Done, View, Visit
from bridge.dashboard.views.keys import PATH, SCOPES, show_keys
from bridge.errors import Conflict, Forbidden, ValidationFailed
from bridge.store.tables.apikeys import ALL_SCOPES
from bridge.store.tables.projects import DEFAULT

MOST_NAME_CHARS: Final = 100
AGAIN: Final = Done(to=PATH, notice="It was made the first time, and its key was shown in that answer alone.")


def _read_name(visit: Visit) -> str:
    name = visit.form.get("name", "").strip()
    if not name or len(name) > MOST_NAME_CHARS or not name.isprintable():
        raise ValidationFailed("name", f"give it a name of at most {MOST_NAME_CHARS} characters")
    return name


async def create_key(visit: Visit) -> View:
    """Make a key and show it, in this one answer."""
    scopes = [name for name in SCOPES if visit.form.get(f"scope-{name}")]
    if not scopes:
        raise ValidationFailed("scopes", "choose at least one")
    _, text = await visit.services.store.apikeys.create(visit.project, scopes, _read_name(visit))
    return await show_keys(visit, made=text, again=AGAIN)


async def revoke_key(visit: Visit) -> Done:
    """Revoke a key at once; it ends the sessions that it opened."""
    if visit.path["id"] == visit.key.id:
        raise Conflict("this is the key that you are signed in with: use another admin key")
    if not await visit.services.store.apikeys.revoke(visit.project, visit.path["id"]):
        raise Conflict("there is no such key: it was revoked before")
    return Done(to=PATH, notice="The key is revoked; whoever used it is signed out.")


async def show_secret(visit: Visit) -> View:
    """Show the secret that signs deliveries to callbacks, in this one answer."""
    secrets = await visit.services.store.projects.default_secret(visit.project)
    return await show_keys(visit, secret=secrets.signing[0])


async def rotate_secret(visit: Visit) -> Done:
    """Replace that secret; both sign for a day."""
    await visit.services.store.projects.rotate(visit.project)
    return Done(to=PATH, notice="There is a new signing secret; the former one signs too for 24 hours.")


async def create_project(visit: Visit) -> View:
    """Make a project with a first key of all scopes, and show that, in this one answer."""
    if visit.project != DEFAULT:
        raise Forbidden("projects are for an admin key of project default: sign in with such a key")
    store = visit.services.store
    project = await store.projects.create(_read_name(visit))
    _, text = await store.apikeys.create(project.id, ALL_SCOPES, "first")
    return await show_keys(visit, made=text, again=AGAIN)


ACTIONS = (
    Action(path=PATH, act=create_key, scope="admin"),
    Action(path=f"{PATH}/{{id}}/revoke", act=revoke_key, scope="admin"),
    Action(path="/settings/secret", act=show_secret, scope="admin"),
    Action(path="/settings/secret/rotate", act=rotate_secret, scope="admin"),
    Action(path="/settings/projects", act=create_project, scope="admin"),
)

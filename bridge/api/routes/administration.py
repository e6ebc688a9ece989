"""Routes of projects, API keys and signing secrets."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from aiohttp import web

from bridge.api.requests.commands import judge_secret
from bridge.api.requests.fields import KeyBody, PageQuery, ProjectBody, RotateBody
from bridge.api.responses.endpoint_models import WarningShape
from bridge.api.responses.json_response import reply
from bridge.api.responses.models import (
    Deleted,
    KeyPage,
    KeyShape,
    MeShape,
    ProjectPage,
    ProjectShape,
    SecretShape,
)
from bridge.api.responses.views import view_key, view_project, view_secret
from bridge.api.routing import ANY_SCOPE, ApiCall, Routes
from bridge.domain.subscriptions.endpoint_trouble import disabled_from_ms
from bridge.domain.times import iso_ms
from bridge.errors import Conflict, Forbidden, NotFound
from bridge.services.queries import parse_cursor
from bridge.services.subscriptions.endpoints import SWITCHED_OFF
from bridge.store.tables.apikeys import ALL_SCOPES
from bridge.store.tables.indexes import Cursor
from bridge.store.tables.projects import DEFAULT

ROUTES = Routes("Administration")


class Dated(Protocol):
    """An object with an id and the time at which it was made."""

    @property
    def id(self) -> str:
        """The object's id, which is unique in its list."""

    @property
    def created_ms(self) -> int:
        """When it was made, in Unix milliseconds."""


Row = TypeVar("Row", bound=Dated)


def paginate(rows: Iterable[Row], page: PageQuery) -> tuple[list[Row], str | None]:
    """Return one page of a list in memory, newest first, and the cursor of the next page.

    A cursor is a place, so that the list goes on behind a row that is gone meanwhile. Raise ValidationFailed for text
    that no list returned as one.
    """
    start = parse_cursor(page.cursor)
    newest_first = sorted(rows, key=_place, reverse=True)
    behind = [row for row in newest_first if start is None or _place(row) < start]
    shown = behind[: page.limit]
    return shown, _place(shown[-1]).text() if len(behind) > page.limit else None


def _place(row: Dated) -> Cursor:
    return Cursor(row.created_ms, row.id)


@ROUTES.add("GET", "/v1/me", scope=ANY_SCOPE, by_query=True, answers={200: MeShape})
async def get_me(call: ApiCall) -> web.StreamResponse:
    """Read the request's API key and its project."""
    project = await call.services.store.projects.get(call.project)
    if project is None:
        raise NotFound("the project of this key is gone")
    answer: MeShape = {
        "id": project.id,
        "object": "me",
        "project": view_project(project),
        "key": view_key(call.key),
        "warnings": await _list_warnings(call),
    }
    return reply(answer)


async def _list_warnings(call: ApiCall) -> list[WarningShape]:
    """Return what somebody should look after: endpoints that will be disabled soon, or were by the bridge."""
    rows = [*(await call.services.store.endpoints.read(call.project)).by_id.values()]
    troubles = await call.services.store.endpoint_troubles.load(call.project, [each.id for each in rows])
    found: list[WarningShape] = []
    for each in rows:
        trouble = troubles.get(each.id)
        if not each.enabled and each.disabled_reason != SWITCHED_OFF:
            text = (
                f"endpoint {each.id} was disabled: {each.disabled_reason}; enable it and recover its events"
            )
            at_ms = each.disabled_ms
            found.append(
                {"code": "endpoint_disabled", "endpoint_id": each.id, "message": text, "at": iso_ms(at_ms)}
            )
        elif each.enabled and trouble is not None and trouble.warned_ms:
            at_ms = disabled_from_ms(trouble)
            text = f"endpoint {each.id} has answered no event with 2xx since {iso_ms(trouble.since_ms)}: it is disabled soon"
            found.append(
                {"code": "endpoint_failing", "endpoint_id": each.id, "message": text, "at": iso_ms(at_ms)}
            )
    return found


@ROUTES.add("GET", "/v1/secrets/default", scope="admin", answers={200: SecretShape})
async def get_default_secret(call: ApiCall) -> web.StreamResponse:
    """Read the secret that signs deliveries."""
    return reply(view_secret(await call.services.store.projects.default_secret(call.project)))


@ROUTES.add("POST", "/v1/secrets/default/rotate", scope="admin", body=RotateBody, answers={200: SecretShape})
async def rotate_default_secret(call: ApiCall) -> web.StreamResponse:
    """Replace the secret that signs deliveries; the old one signs too for 24 hours."""
    body = await call.body(RotateBody)
    if body.secret is not None:
        judge_secret(body.secret)
    return reply(view_secret(await call.services.store.projects.rotate(call.project, body.secret)))


def _check_operator(call: ApiCall) -> None:
    if call.project != DEFAULT:
        raise Forbidden("projects are for an admin key of project default: use such a key")


@ROUTES.add("GET", "/v1/projects", scope="admin", query=PageQuery, answers={200: ProjectPage})
async def list_projects(call: ApiCall) -> web.StreamResponse:
    """List all projects."""
    _check_operator(call)
    shown, cursor = paginate(await call.services.store.projects.list(), call.query(PageQuery))
    return reply({"data": [view_project(project) for project in shown], "next_cursor": cursor})


@ROUTES.add("POST", "/v1/projects", scope="admin", body=ProjectBody, answers={201: ProjectShape})
async def create_project(call: ApiCall) -> web.StreamResponse:
    """Create a project with a first API key of all scopes, shown only in this answer."""
    _check_operator(call)
    body = await call.body(ProjectBody)
    store = call.services.store
    project = await store.projects.create(body.name)
    _, text = await store.apikeys.create(project.id, ALL_SCOPES, "first")
    location = {"Location": call.link(f"/v1/projects/{project.id}")}
    return reply({**view_project(project), "key": text}, status=201, headers=location)


@ROUTES.add("GET", "/v1/projects/{id}", scope="admin", answers={200: ProjectShape}, errors=(404,))
async def get_project(call: ApiCall) -> web.StreamResponse:
    """Read a project."""
    project = await call.services.store.projects.get(call.path("id"))
    if project is None or call.project not in (DEFAULT, project.id):
        raise NotFound("there is no such project")
    return reply(view_project(project))


@ROUTES.add("GET", "/v1/keys", scope="admin", query=PageQuery, answers={200: KeyPage})
async def list_keys(call: ApiCall) -> web.StreamResponse:
    """List the project's API keys; the keys themselves are not stored."""
    shown, cursor = paginate(await call.services.store.apikeys.list(call.project), call.query(PageQuery))
    return reply({"data": [view_key(key) for key in shown], "next_cursor": cursor})


@ROUTES.add("POST", "/v1/keys", scope="admin", body=KeyBody, answers={201: KeyShape}, errors=(404,))
async def create_key(call: ApiCall) -> web.StreamResponse:
    """Create an API key, shown only in this answer."""
    body = await call.body(KeyBody)
    project = body.project_id or call.project
    if project != call.project:
        _check_operator(call)
        if await call.services.store.projects.get(project) is None:
            raise NotFound("project_id: there is no such project; GET /v1/projects lists them")
    key, text = await call.services.store.apikeys.create(project, body.scopes, body.name)
    location = {"Location": call.link(f"/v1/keys/{key.id}")}
    return reply({**view_key(key), "key": text}, status=201, headers=location)


@ROUTES.add("DELETE", "/v1/keys/{id}", scope="admin", answers={200: Deleted}, errors=(409,))
async def revoke_key(call: ApiCall) -> web.StreamResponse:
    """Revoke an API key at once; idempotent."""
    identifier = call.path("id")
    if identifier == call.key.id:
        raise Conflict("a key cannot revoke itself: use another admin key")
    await call.services.store.apikeys.revoke(call.project, identifier)
    return reply({"id": identifier, "deleted": True})

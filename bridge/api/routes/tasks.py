"""Routes of tasks: work on many objects, which goes on after the request that began it."""

from collections.abc import Sequence

from aiohttp import web

from bridge.api.requests.fields import PageQuery
from bridge.api.responses.event_models import TaskPage, TaskShape
from bridge.api.responses.json_response import reply
from bridge.api.responses.task_views import view_task
from bridge.api.routes.administration import paginate
from bridge.api.routing import ApiCall, Routes
from bridge.domain.tasks import Task
from bridge.errors import NotFound
from bridge.services.tasks.start import cancel_task, find_task, list_tasks
from bridge.store.tables.projects import DEFAULT
from bridge.store.tables.tasks import INSTALLATION

ROUTES = Routes("Tasks")


def _places(call: ApiCall) -> Sequence[str]:
    """Return where the tasks lie that a key may see: an operator's also those of the whole installation."""
    is_operator = call.project == DEFAULT and "admin" in call.key.scopes
    return (call.project, INSTALLATION) if is_operator else (call.project,)


async def _find(call: ApiCall) -> Task:
    identifier = call.path("id")
    for project in _places(call):
        try:
            return await find_task(call.services, project, identifier)
        except NotFound:
            continue
    raise NotFound(f"there is no task {identifier[:80]} in this project")


@ROUTES.add("GET", "/v1/tasks", scope="read", query=PageQuery, answers={200: TaskPage})
async def show_tasks(call: ApiCall) -> web.StreamResponse:
    """List tasks, newest first."""
    found = await list_tasks(call.services, _places(call))
    rows, cursor = paginate(found, call.query(PageQuery))
    now_ms = call.services.clock_ms()
    return reply({"data": [view_task(each, now_ms=now_ms) for each in rows], "next_cursor": cursor})


@ROUTES.add("GET", "/v1/tasks/{id}", scope="read", answers={200: TaskShape}, errors=(404,))
async def show_task(call: ApiCall) -> web.StreamResponse:
    """Read how far a task is."""
    return reply(view_task(await _find(call), now_ms=call.services.clock_ms()))


@ROUTES.add("POST", "/v1/tasks/{id}/cancel", scope="manage", answers={200: TaskShape}, errors=(404, 409))
async def end_task_early(call: ApiCall) -> web.StreamResponse:
    """Cancel a task: it ends after the step that is under way, and what it has done stays done."""
    found = await _find(call)
    cancelled = await cancel_task(call.services, found.project, found.id)
    return reply(view_task(cancelled, now_ms=call.services.clock_ms()))

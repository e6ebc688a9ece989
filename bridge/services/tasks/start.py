"""Create tasks, wait for their result a little, list and cancel them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.domain.tasks import Task, TaskState, ask_cancel
from bridge.errors import Conflict, NotFound, RateLimited, Unavailable
from bridge.services.context import Services
from bridge.services.tasks.attempt import run_attempt
from bridge.store.errors import StoreFull, StoreNotDurable
from bridge.store.tables.table import draw_id
from bridge.store.tables.tasks import TooManyTasks

OWN_S: Final = 2.0  # for which a request works on its task itself, so that a small one needs no worker
WAIT_S: Final = 20.0  # for which it waits for the end
LOOK_S: Final = 0.1
FULL_RETRY_S: Final = 30.0
TRIES: Final = 20


async def create_task(
    services: Services,
    project: str,
    kind: str,
    args: Mapping[str, Any],
    *,
    total: int = 0,
    cursor: str = "",
    data: bytes | None = None,
) -> Task:
    """Store a task, from which on it will be done; raise RateLimited or Unavailable if it is refused."""
    task = Task(
        id=draw_id("task_", services.dice),
        project=project,
        kind=kind,
        args=dict(args),
        created_ms=services.clock_ms(),
        total=total,
        cursor=cursor,
    )
    try:
        return (await services.store.tasks.create(task, data=data)).record
    except TooManyTasks:
        raise RateLimited(60, "this project has too many tasks in progress: wait for them to end") from None
    except StoreFull:
        raise Unavailable(
            "the store is full: nothing was begun, try again later", retry_after_s=FULL_RETRY_S
        ) from None
    except StoreNotDurable:
        raise Unavailable("the disk is too slow to confirm this: repeat it, it is not doubled") from None


async def finish_task(services: Services, task: Task) -> Task:
    """Work on a task for a moment, then leave it to the workers; return it as it is after 20 s at the latest.

    Without workers it is worked on here for all that time. Raise Conflict if it has failed.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    is_alone = not await services.store.heartbeats.count(services.clock_ms())
    own_s = WAIT_S if is_alone else OWN_S
    while not task.has_ended and (waited_s := loop.time() - began_s) < WAIT_S:
        if waited_s < own_s:
            await run_attempt(services, task.project, task.id, for_s=own_s - waited_s)
        task = await find_task(services, task.project, task.id)
        if not task.has_ended:
            await asyncio.sleep(LOOK_S)
    if task.state is TaskState.FAILED:
        raise Conflict(task.error, details={"task_id": task.id})
    return task


async def find_task(services: Services, project: str, identifier: str) -> Task:
    """Return a task; NotFound when this project has none such."""
    loaded = await services.store.tasks.load(project, identifier)
    if loaded is None:
        raise NotFound(f"there is no task {identifier[:80]} in this project")
    return loaded.record


async def list_tasks(services: Services, projects: Sequence[str]) -> list[Task]:
    """Return the tasks of projects, newest first."""
    found = [each for project in projects for each in await services.store.tasks.list(project)]
    return sorted(found, key=lambda task: task.created_ms, reverse=True)


async def cancel_task(services: Services, project: str, identifier: str) -> Task:
    """End a task before its work is done, after the step that is under way; one that has ended stays as it is."""
    for _ in range(TRIES):
        if (cancelled := await _try_cancel(services, project, identifier)) is not None:
            return cancelled
    raise Conflict("this task is being changed by others: repeat the request")


async def _try_cancel(services: Services, project: str, identifier: str) -> Task | None:
    """Return the task with its end asked for; None if somebody changed it meanwhile."""
    loaded = await services.store.tasks.load(project, identifier)
    if loaded is None:
        raise NotFound(f"there is no task {identifier[:80]} in this project")
    asked = ask_cancel(loaded.record, now_ms=services.clock_ms())
    keep_ms = services.settings.retention * 1000
    if asked == loaded.record or await services.store.tasks.swap(loaded, asked, keep_ms=keep_ms) == "done":
        return asked
    return None

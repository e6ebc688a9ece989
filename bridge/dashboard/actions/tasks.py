"""Tasks that forms begin, and stop."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.dashboard.page import Action, Done, Visit
from bridge.services.tasks.attempt import run_attempt
from bridge.services.tasks.start import cancel_task, create_task

OWN_S: Final = 0.5  # for which the answer works on a task itself; the workers go on
ALONE_S: Final = 10.0  # where there is no worker


async def begin_task(
    visit: Visit, kind: str, args: Mapping[str, Any], *, total: int, cursor: str = ""
) -> Done:
    """Begin a task, and lead to the page that says how far it is."""
    services = visit.services
    task = await create_task(services, visit.project, kind, args, total=total, cursor=cursor)
    has_workers = await services.store.heartbeats.count(services.clock_ms())
    await run_attempt(services, visit.project, task.id, for_s=OWN_S if has_workers else ALONE_S)
    return Done(to=f"/tasks/{task.id}", notice="It has begun.")


async def stop_task(visit: Visit) -> Done:
    """Stop a task after its present step; what it has done stays done."""
    task = await cancel_task(visit.services, visit.project, visit.path["id"])
    return Done(to=f"/tasks/{task.id}", notice="It stops after its present step.")


ACTIONS = (Action(path="/tasks/{id}/stop", act=stop_task, scope="manage"),)

"""Seal everything anew, as the task of a worker does."""

from bridge.domain.tasks import Task, TaskState
from bridge.services.context import Services
from bridge.services.tasks.attempt import run_attempt
from bridge.services.tasks.kinds import REENCRYPT
from bridge.store.tables.table import draw_id
from bridge.store.tables.tasks import INSTALLATION


async def reseal_all(services: Services) -> int:
    """Return how many jobs changed."""
    task = Task(id=draw_id("task_"), project=INSTALLATION, kind=REENCRYPT, args={}, created_ms=1)
    await services.store.tasks.create(task, new_work=False)
    await run_attempt(services, INSTALLATION, task.id, for_s=60)
    done = await services.store.tasks.load(INSTALLATION, task.id)
    assert done is not None
    assert done.record.state is TaskState.SUCCEEDED, done.record
    return done.record.count

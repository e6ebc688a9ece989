"""Tasks as jobs of arq: a tick finds the tasks that nobody works on, and arq starts an attempt at each.

arq only starts attempts. What has been done, and who does it now, is in the store, so that what arq's queue loses is begun
again by the next tick.
"""

from typing import Any, Final, cast

import structlog
from arq import func
from arq.connections import ArqRedis
from arq.typing import WorkerCoroutine

from bridge.domain.tasks import Task, is_held
from bridge.services.context import Services
from bridge.services.tasks.attempt import run_attempt
from bridge.services.tasks.kinds import REENCRYPT
from bridge.store.cancellation import is_cancelled
from bridge.store.errors import STORE_ERRORS
from bridge.store.tables.table import draw_id
from bridge.store.tables.tasks import INSTALLATION
from workers.ticks import sleep_to_tick

log = structlog.get_logger()

TICK_MS: Final = 1_000
ATTEMPT_S: Final = 60.0  # then another attempt goes on, perhaps of another worker
TIMEOUT_S: Final = 120.0
# An attempt whose worker died before it began leaves its id behind in arq's queue for minutes: another id is used then.
SAME_ID_MS: Final = 10_000


async def run_task(context: dict[str, Any], project: str, identifier: str, number: int) -> None:
    """Make one attempt at a task; arq calls this. An outage of the store ends it: the next tick begins another one."""
    try:
        await run_attempt(context["services"], project, identifier, for_s=ATTEMPT_S, number=number)
    except STORE_ERRORS as error:
        log.warning("task.store_unreachable", task=identifier, error=type(error).__name__)


# arq must not repeat it: that comes minutes later, while the tick begins another attempt within seconds.
RUN_TASK = func(cast("WorkerCoroutine", run_task), name="run_task", timeout=TIMEOUT_S, max_tries=1)


async def run_ticks(services: Services, queue: ArqRedis) -> None:
    """Let arq begin attempts at tasks that nobody works on, until cancelled; one worker at a time does this."""
    while not is_cancelled():
        if await services.store.take_tick("tasks", services.clock_ms(), every_ms=TICK_MS):
            await begin_attempts(services, queue)
        await sleep_to_tick(TICK_MS / 1000)


async def begin_attempts(services: Services, queue: ArqRedis) -> None:
    """Queue an attempt at the first task of each project, unless somebody works on it."""
    now_ms = services.clock_ms()
    for task in await services.store.tasks.list_first():
        if not is_held(task, now_ms=now_ms):
            number = task.attempt + 1
            name = f"task:{task.id}:{number}:{now_ms // SAME_ID_MS}"
            await queue.enqueue_job("run_task", task.project, task.id, number, _job_id=name)


async def take_up_requests(services: Services) -> None:
    """Make a task of the request to seal everything anew, which each process writes as it starts."""
    store = services.store
    if not await store.key_usage.is_requested():
        return
    # First the task: a process that dies in between leaves the request, and sealing twice does no harm.
    task = Task(
        id=draw_id("task_", services.dice),
        project=INSTALLATION,
        kind=REENCRYPT,
        args={},
        created_ms=services.clock_ms(),
    )
    await store.tasks.create(task, new_work=False)
    await store.key_usage.take_request()

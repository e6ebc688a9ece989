"""Work on a task: begin an attempt, do steps, write each one down under the attempt's number."""

import asyncio
from collections.abc import Callable

import structlog

from bridge.domain.tasks import (
    Task,
    TaskState,
    TaskStep,
    add_step,
    begin_attempt,
    end_task,
    is_held,
    let_go,
    renew_lease,
)
from bridge.errors import BridgeError, Conflict, NotFound, Unavailable
from bridge.services.context import Services
from bridge.services.tasks.kinds import KINDS, TaskCall
from bridge.store.errors import STORE_ERRORS, WriteConflict
from bridge.store.records import Loaded, UnreadableRecord

log = structlog.get_logger()

# What no repetition mends.
_FINAL = (NotFound, Conflict)


class TaskLost(Exception):
    """The attempt's lease has ended and another one has begun, or the task has ended."""


async def run_attempt(
    services: Services, project: str, identifier: str, *, for_s: float, number: int | None = None
) -> None:
    """Work on a task for so long, or until it has ended; do nothing while another attempt has it, or another task comes first.

    With `number` only if that is the next attempt's.
    """
    loaded = await services.store.tasks.load(project, identifier)
    now_ms = services.clock_ms()
    if loaded is None or loaded.record.has_ended or is_held(loaded.record, now_ms=now_ms):
        return
    if number not in (None, loaded.record.attempt + 1):
        return
    begun = begin_attempt(loaded.record, now_ms=now_ms)
    keep_ms = services.settings.retention * 1000
    if await services.store.tasks.swap(loaded, begun, keep_ms=keep_ms, is_first=True) != "done":
        return
    if begun.has_ended:
        _log_end(begun)
        return
    again = await services.store.tasks.load(project, identifier)
    if again is not None and again.record.attempt == begun.attempt and not again.record.has_ended:
        await _Attempt(services, again, repeats=loaded.record.attempt > 0).run(for_s)


class _Attempt:
    """One attempt, which knows the task as it wrote it last."""

    def __init__(self, services: Services, loaded: Loaded[Task], *, repeats: bool) -> None:
        self._services = services
        self._loaded = loaded
        self._repeats = repeats

    async def run(self, for_s: float) -> None:
        """Do steps for so long, and let the task go however this ends."""
        until_s = asyncio.get_running_loop().time() + for_s
        error = ""
        try:
            data = await self._services.store.tasks.load_input(
                self._loaded.record.project, self._loaded.record.id
            )
            while not self._loaded.record.has_ended and asyncio.get_running_loop().time() < until_s:
                await self._step(data)
        except TaskLost:
            return
        except _FINAL as refused:
            text = refused.message
            await self._end(
                lambda task: end_task(
                    _with_error(task, text), TaskState.FAILED, now_ms=self._services.clock_ms()
                )
            )
            return
        except (BridgeError, WriteConflict, UnreadableRecord, *STORE_ERRORS) as failed:
            error = failed.message if isinstance(failed, Unavailable) else type(failed).__name__
            log.warning("task.interrupted", task=self._loaded.record.id, error=type(failed).__name__)
        finally:
            # An attempt that is cancelled lets go too: its worker stops, and another one goes on at once.
            if not self._loaded.record.has_ended:
                await self._end(lambda task: let_go(task, error=error))
        if self._loaded.record.has_ended:
            _log_end(self._loaded.record)

    async def _step(self, data: bytes | None) -> None:
        task = self._loaded.record
        call = TaskCall(task, data, self._repeats, self._beat)
        step = await KINDS[task.kind](self._services, call)
        self._repeats = False
        await self._save(lambda current: self._add(current, step))

    def _add(self, task: Task, step: TaskStep) -> Task:
        return add_step(task, step, now_ms=self._services.clock_ms())

    async def _beat(self) -> None:
        await self._save(lambda task: renew_lease(task, now_ms=self._services.clock_ms()))
        if self._loaded.record.is_cancelled:
            now_ms = self._services.clock_ms()
            await self._save(lambda task: end_task(task, TaskState.CANCELLED, now_ms=now_ms))
            raise TaskLost

    async def _save(self, change: Callable[[Task], Task]) -> None:
        """Write the task with a change; raise `TaskLost` if it is another attempt's by now."""
        tasks, keep_ms = self._services.store.tasks, self._services.settings.retention * 1000
        while True:
            before = self._loaded
            changed = change(before.record)
            await tasks.swap(before, changed, keep_ms=keep_ms)
            found = await tasks.load(before.record.project, before.record.id)
            if found is None or found.record.attempt != before.record.attempt:
                raise TaskLost
            self._loaded = found
            if found.record == changed:
                return
            if found.record.has_ended:
                raise TaskLost

    async def _end(self, change: Callable[[Task], Task]) -> None:
        """Write the last change of this attempt; where the store is away, the lease ends by itself."""
        try:
            await self._save(change)
        except TaskLost:
            return
        except STORE_ERRORS as error:
            log.warning("task.not_let_go", task=self._loaded.record.id, error=type(error).__name__)


def _with_error(task: Task, error: str) -> Task:
    return let_go(task, error=error)


def _log_end(task: Task) -> None:
    log.info(
        "task.ended",
        task=task.id,
        kind=task.kind,
        state=task.state,
        looked=task.looked,
        count=task.count,
        attempts=task.attempt,
    )

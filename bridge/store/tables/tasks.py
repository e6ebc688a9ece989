"""The tasks of each project. What is stored here is the truth; a queue elsewhere only starts attempts."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, cast

from msgspec.structs import replace
from redis.asyncio import Redis

from bridge.domain.deliveries.records import Delivery
from bridge.domain.tasks import Task
from bridge.store import endpoint_keys, task_keys
from bridge.store.commit import Change, Rank
from bridge.store.durable import DurableScripts
from bridge.store.records import Loaded, UnreadableRecord, log_unreadable, pack, unpack
from bridge.store.scripts import SCRIPTS, ScriptCall, run

INSTALLATION: Final = "installation"  # stands for the project of tasks that concern all of them
MOST_OPEN: Final = 100
MOST_KEPT: Final = 1_000
INPUT_MS: Final = 7 * 86_400_000
MOST_TOUCHED: Final = 10_000
MARKED_MS: Final = 60_000  # far longer than it takes from the mark to the record
CHANGE = SCRIPTS["task_v1"].accepted_when_full()
CREATE = SCRIPTS["task_v1"]

SwapResult = Literal["done", "conflict", "waiting", "many"]


class TooManyTasks(Exception):
    """A project has as many unended tasks as it may have."""


class Tasks:
    """Records of tasks, each changed under the condition that it is as it was loaded."""

    def __init__(
        self, redis: Redis, shards: str, *, durable: DurableScripts, clock_ms: Callable[[], int]
    ) -> None:
        """Take the letters of the shards in use, and what waits for the disk when a task is created."""
        self._shards = shards
        self._redis: Any = redis  # redis-py types commands for both clients at once
        self._durable = durable
        self._clock_ms = clock_ms

    async def create(self, task: Task, *, data: bytes | None = None, new_work: bool = True) -> Loaded[Task]:
        """Store a new task, and what it works on if that is large; it is on disk when this returns.

        Raise `TooManyTasks`, `StoreNotDurable`, and for new work `StoreFull`.
        """
        # First the mark: with the record alone nobody would look for it.
        await self._redis.zadd(task_keys.TASKING, {task.project: self._clock_ms()})
        if data is not None:
            await self._redis.set(task_keys.task_input(task.project, task.id), data, px=INPUT_MS)
        raw = pack(task)
        call = self._plan_call(CREATE if new_work else CHANGE, task, b"", raw, keep_ms=0, is_first=False)
        touched = endpoint_keys.touched(task.project)
        if await self._durable.run(call, touched=touched, new_work=new_work) == b"many":
            raise TooManyTasks
        return Loaded(task, raw)

    async def keep_touched(self, task: str, *, keep_ms: int) -> None:
        """Keep for so long what a task has sent again, the newest part of it, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for shard in self._shards:
            pipe.zremrangebyrank(task_keys.touched(shard, task), 0, -MOST_TOUCHED - 1)
            pipe.pexpire(task_keys.touched(shard, task), keep_ms)
        await pipe.execute()

    async def list_touched(self, task: str, *, limit: int) -> list[str]:
        """Return the ids of the newest deliveries that a task has sent again, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for shard in self._shards:
            pipe.zrevrange(task_keys.touched(shard, task), 0, limit - 1, withscores=True)
        rows = [row for found in await pipe.execute() for row in found]
        return [member.decode() for member, _ in sorted(rows, key=lambda row: -row[1])[:limit]]

    async def swap(
        self, loaded: Loaded[Task], task: Task, *, keep_ms: int, is_first: bool = False
    ) -> SwapResult:
        """Write a task if it is as it was loaded; with `is_first` only if no other task of its project comes before.

        One that has ended is kept for so many milliseconds.
        """
        call = self._plan_call(CHANGE, task, loaded.raw, pack(task), keep_ms=keep_ms, is_first=is_first)
        return cast("SwapResult", (await run(self._redis, call)).decode())

    async def load(self, project: str, identifier: str) -> Loaded[Task] | None:
        """Return a task with its bytes; raise `UnreadableRecord`."""
        raw = await self._redis.get(task_keys.task(project, identifier))
        return None if raw is None else Loaded(unpack(Task, raw), raw)

    async def load_input(self, project: str, identifier: str) -> bytes | None:
        """Return what a task works on, if that is kept apart."""
        found: bytes | None = await self._redis.get(task_keys.task_input(project, identifier))
        return found

    async def list(self, project: str) -> Sequence[Task]:
        """Return a project's tasks, newest first; those whose time is over are left out."""
        ids = await self._redis.zrevrange(task_keys.tasks(project), 0, -1)
        raws = await self._redis.mget([task_keys.task(project, each.decode()) for each in ids]) if ids else []
        found = [
            self._unpack(project, each.decode(), raw)
            for each, raw in zip(ids, raws, strict=True)
            if raw is not None
        ]
        return [each for each in found if each is not None]

    async def list_first(self) -> Sequence[Task]:
        """Return of each project that has unended tasks the one that comes first; forget projects without any."""
        found = []
        now_ms = self._clock_ms()
        for project in await self._redis.zrange(task_keys.TASKING, 0, -1):
            name = project.decode()
            first = await self._redis.zrange(task_keys.open_tasks(name), 0, 0)
            if first:
                await self._redis.zadd(task_keys.TASKING, {project: now_ms})
                raw = await self._redis.get(task_keys.task(name, first[0].decode()))
                task = None if raw is None else self._unpack(name, first[0].decode(), raw)
                if task is None:  # nobody can do it, and it must not stand before others
                    await self._redis.zrem(task_keys.open_tasks(name), first[0])
                else:
                    found.append(task)
        # By score, so that a mark that was set meanwhile stays.
        await self._redis.zremrangebyscore(task_keys.TASKING, "-inf", now_ms - MARKED_MS)
        return found

    async def mark(self, projects: Sequence[str]) -> None:
        """Let projects with unended tasks be looked at, wherever their mark was lost."""
        for project in (*projects, INSTALLATION):
            if await self._redis.zcard(task_keys.open_tasks(project)):
                await self._redis.zadd(task_keys.TASKING, {project: self._clock_ms()})

    def _plan_call(
        self, script: Any, task: Task, former: bytes, value: bytes, *, keep_ms: int, is_first: bool
    ) -> ScriptCall:
        names = (
            task_keys.task(task.project, task.id),
            task_keys.task_input(task.project, task.id),
            task_keys.tasks(task.project),
            task_keys.open_tasks(task.project),
        )
        flags = (int(task.has_ended), max(1, keep_ms), int(is_first), MOST_OPEN, MOST_KEPT)
        return ScriptCall(script, names, (task.id, former, value, task.created_ms, *flags))

    def _unpack(self, project: str, identifier: str, raw: bytes) -> Task | None:
        try:
            return unpack(Task, raw)
        except UnreadableRecord as error:
            log_unreadable(task_keys.tasks(project), identifier, error)
            return None


def touch(change: Change, task: str, delivery: Delivery) -> Change:
    """Return a change that also lists a delivery as sent again by a task."""
    op = Rank(task_keys.touched(change.shard, task), delivery.id, delivery.created_ms)
    return replace(change, ops=(*change.ops, op))

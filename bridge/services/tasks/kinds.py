"""What each kind of task does in one step.

A step gets the task as it was when the step began. `repeats` says that an attempt that ended may have done it already; it
calls `beat` now and then if it takes longer than a second, which renews the lease, or raises if the task is no longer its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from bridge.domain.tasks import Task, TaskStep
from bridge.services.context import Services
from bridge.services.deliveries.endpoint_recovery import RecoverWalk, recover_chunk
from bridge.services.deliveries.recovery import Recovery, recover_page
from bridge.services.key_rotation import reseal_rest, reseal_shard
from bridge.services.reconcile import reconcile_chunk
from bridge.store.tables.key_usage import KeyCounter


class TaskCall(NamedTuple):
    """A step to be done."""

    task: Task
    data: bytes | None
    repeats: bool
    beat: Callable[[], Awaitable[None]]

    @property
    def ended_before_ms(self) -> int | None:
        """What ended later has been sent again by this task, and is left alone where a step may be a repetition."""
        return self.task.created_ms if self.repeats else None


class DoStep(Protocol):
    """Does the next step of a task."""

    async def __call__(self, services: Services, call: TaskCall) -> TaskStep:
        """Return what it did; raise `BridgeError` if the task cannot be done."""


RECOVER_DELIVERIES: Final = "deliveries.recover"
RECOVER_ENDPOINT: Final = "endpoint.recover"
RECONCILE: Final = "events.reconcile"
REENCRYPT: Final = "secrets.reencrypt"


async def _recover_deliveries(services: Services, call: TaskCall) -> TaskStep:
    wanted = msgspec.convert(call.task.args, Recovery)
    return await recover_page(
        services,
        call.task.project,
        wanted,
        call.task.cursor,
        task=call.task.id,
        ended_before_ms=call.ended_before_ms,
    )


def _read_walk(call: TaskCall) -> RecoverWalk:
    return msgspec.convert({**call.task.args, "project": call.task.project}, RecoverWalk)


async def _recover_endpoint(services: Services, call: TaskCall) -> TaskStep:
    walk = _read_walk(call)
    return await recover_chunk(
        services,
        walk,
        int(call.task.cursor or 0),
        done=call.task.count,
        ended_before_ms=call.ended_before_ms,
    )


async def _reconcile(services: Services, call: TaskCall) -> TaskStep:
    walk = _read_walk(call)
    known = msgspec.json.decode(call.data or b"[]", type=frozenset[str])
    return await reconcile_chunk(
        services,
        walk,
        known,
        int(call.task.cursor or 0),
        done=call.task.count,
        ended_before_ms=call.ended_before_ms,
    )


async def _reencrypt(services: Services, call: TaskCall) -> TaskStep:
    """Seal one shard; after the last one, what lies outside of shards."""
    shards = services.store.shards
    shard = call.task.cursor or shards[0]
    counter = KeyCounter(call.task.memo)
    looked, count = await reseal_shard(services, shard, counter, call.beat)
    if shard != shards[-1]:
        later = shards[shards.index(shard) + 1]
        return TaskStep(looked=looked, count=count, cursor=later, memo=counter.memo())
    await reseal_rest(services, counter)
    return TaskStep(looked=looked, count=count, cursor=None)


KINDS: Final[Mapping[str, DoStep]] = {
    RECOVER_DELIVERIES: _recover_deliveries,
    RECOVER_ENDPOINT: _recover_endpoint,
    RECONCILE: _reconcile,
    REENCRYPT: _reencrypt,
}

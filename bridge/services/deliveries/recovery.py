"""Bring many deliveries back, a page at a time."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState, ended_before
from bridge.domain.tasks import TaskStep
from bridge.services.context import Services
from bridge.services.deliveries.delivery_filter import DeliveryFilter, fits, keep_fitting
from bridge.services.deliveries.destinations import Destination, find_destinations
from bridge.services.queries import load_deliveries, load_dues
from bridge.services.requeue import start_again
from bridge.store.errors import WriteConflict
from bridge.store.records import Loaded
from bridge.store.tables.indexes import Cursor, read_cursor
from bridge.store.tables.tasks import touch
from bridge.store.unit_of_work import How

PAGE: Final = 100
TRIES: Final = 20


class Recovery(Struct, frozen=True, kw_only=True):
    """What is brought back: deliveries made from `since_ms` to `until_ms` that are in a state.

    The others narrow it down as those of `DeliveryFilter` do.
    """

    since_ms: int
    until_ms: int | None
    state: DeliveryState
    receiver: str = ""
    answer: str = ""
    subscription: str = ""
    type: str = ""
    kind: str = ""
    account: str = ""

    @property
    def filter(self) -> DeliveryFilter:
        """What a delivery must meet, apart from its time and state."""
        return DeliveryFilter(
            receiver=self.receiver,
            answer=self.answer,
            subscription=self.subscription,
            type=self.type,
            kind=self.kind,
            account=self.account,
        )


async def count_deliveries(services: Services, project: str, wanted: Recovery) -> int:
    """Return how many deliveries of a period there are, in whatever state."""
    return await services.store.indexes.count_deliveries(project, wanted.since_ms, wanted.until_ms)


def first_cursor(wanted: Recovery) -> str:
    """Return where the first page begins: behind what was made later than the period."""
    return "" if wanted.until_ms is None else Cursor(wanted.until_ms + 1, "").text()


async def recover_page(
    services: Services,
    project: str,
    wanted: Recovery,
    cursor: str,
    *,
    task: str,
    ended_before_ms: int | None = None,
) -> TaskStep:
    """Bring back what is wanted of the next page of a project's deliveries, newest first, each exactly once.

    What had succeeded or was cancelled goes out marked `webhook-resend: true`. With `ended_before_ms` what ended later is
    left alone. What is sent is listed under the task.
    """
    place = read_cursor(cursor) if cursor else None
    page = await services.store.indexes.deliveries(project, cursor=place, limit=PAGE)
    ids = [
        at.id
        for at in page
        if wanted.since_ms <= at.at_ms and (wanted.until_ms is None or at.at_ms <= wanted.until_ms)
    ]
    count = await _recover(services, ids, wanted, ended_before_ms, task)
    await services.store.tasks.keep_touched(task, keep_ms=services.settings.retention * 1000)
    is_over = len(page) < PAGE or page[-1].at_ms < wanted.since_ms
    return TaskStep(looked=len(ids), count=count, cursor=None if is_over else page[-1].text())


async def _recover(
    services: Services, ids: Sequence[str], wanted: Recovery, ended_before_ms: int | None, task: str
) -> int:
    """Send those of a page that are wanted again; return how many. Those that others change are looked at anew.

    What would not be sent is left as it is: its endpoint is disabled, or it is gone.
    """
    recovered = 0
    for _ in range(TRIES):
        found = [
            _mark(each)
            for each in await load_deliveries(services.store, ids)
            if each.record.state is wanted.state
            and fits(wanted.filter, each.record, None)
            and ended_before(each.record, ended_before_ms)
        ]
        fitting = {
            each.id for each in await keep_fitting(services, wanted.filter, [one.record for one in found])
        }
        destinations = await find_destinations(services, [each.record for each in found])
        found = [
            each for each in found if each.record.id in fitting and not destinations[each.record.id].refusal
        ]
        done = await _send_again(services, found, destinations, task)
        recovered += sum(done)
        ids = [each.record.id for each, is_done in zip(found, done, strict=True) if not is_done]
        if not ids:
            return recovered
    raise WriteConflict


async def _send_again(
    services: Services,
    found: Sequence[Loaded[Delivery]],
    destinations: Mapping[str, Destination],
    task: str,
) -> list[bool]:
    """Restart deliveries, in a few round trips; return for each whether nobody else was first.

    The first one of each URL opens the way for the others: who asks for them says that the receiver is well again.
    """
    records = [each.record for each in found]
    dues = await load_dues(services.store, records)
    lanes = {each.id: destinations[each.id].lane for each in records}
    done: dict[str, bool] = {}
    first = {lanes[each.id]: each.id for each in reversed(records)}
    for shard in sorted({each.id[4] for each in records}):
        changes = {}
        for each in found:
            if (identifier := each.record.id)[4] == shard:
                unit = services.unit_of_work(shard)
                lane = lanes[identifier]
                how: How = "first" if first[lane] == identifier else "sooner"
                start_again(unit, each, dues[identifier], lane=lane, how=how)
                changes[identifier] = touch(unit.change(), task, each.record)
        results = await services.store.committer.commit_many(list(changes.values()))
        done |= {each: how == "done" for each, how in zip(changes, results, strict=True)}
    return [done[each.id] for each in records]


def _mark(loaded: Loaded[Delivery]) -> Loaded[Delivery]:
    """Mark what was over as sent again because a person asked, as a resend is."""
    if loaded.record.state is DeliveryState.PARKED:
        return loaded
    return Loaded(replace(loaded.record, resend=True), loaded.raw)

"""Which deliveries somebody wants to see, or to have sent again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Delivery, DeliveryState, find_trouble, visible_state
from bridge.services.context import Services
from bridge.store.records import Wanted

FAILING: Final = "failing"  # pending, and at least one attempt has failed
TROUBLE: Final = frozenset({FAILING, str(DeliveryState.PARKED)})
STATES: Final = (FAILING, *(str(each) for each in DeliveryState))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to show: each condition that is set must hold.

    `states` are those of `STATES`, empty: any. `answer` is a class of the last answer (`2xx`, `4xx`, ..., `none` for no
    answer) or a status. `type` is the event's, `kind` and `account` are the job's. Times are Unix milliseconds.
    """

    states: frozenset[str] = frozenset()
    receiver: str = ""  # an origin
    answer: str = ""
    since_ms: int = 0
    until_ms: int = 0
    subscription: str = ""
    type: str = ""
    kind: str = ""
    account: str = ""

    @property
    def is_any(self) -> bool:
        """Whether every delivery of the period fits."""
        return not self.states and self.is_by_state

    @property
    def is_by_state(self) -> bool:
        """Whether state and period alone decide."""
        return replace(self, states=frozenset(), since_ms=0, until_ms=0) == ANY

    @property
    def is_trouble(self) -> bool:
        """Whether only deliveries in trouble fit, which are listed on their own."""
        return bool(self.states) and self.states <= TROUBLE


ANY: Final = DeliveryFilter()


def fits(wanted: DeliveryFilter, delivery: Delivery, due_ms: int | None) -> bool:
    """Return whether a delivery meets the conditions, but those about time and about its event and job.

    `due_ms` is when its next attempt is due, see `next_attempts_ms`.
    """
    if wanted.subscription and delivery.subscription != wanted.subscription:
        return False
    if wanted.receiver and read_origin(delivery.lane) != wanted.receiver:
        return False
    if wanted.answer and not _answered(delivery, wanted.answer):
        return False
    return not wanted.states or bool(_names(delivery, due_ms) & wanted.states)


async def keep_fitting(
    services: Services, wanted: DeliveryFilter, deliveries: Sequence[Delivery]
) -> list[Delivery]:
    """Return those whose event and job meet the conditions; what is gone meets none."""
    if not (wanted.type or wanted.kind or wanted.account):
        return list(deliveries)
    events = sorted({each.event for each in deliveries}) if wanted.type else ()
    jobs = sorted({each.job for each in deliveries}) if wanted.kind or wanted.account else ()
    page = await services.store.load_many(Wanted(events=events, jobs=jobs))
    types = {name: each.record.type for name, each in page.events.items()}
    places = {name: (each.record.kind, each.record.account) for name, each in page.jobs.items()}
    return [
        each
        for each in deliveries
        if wanted.type in ("", types.get(each.event))
        and wanted.kind in ("", places.get(each.job, (None, None))[0])
        and wanted.account in ("", places.get(each.job, (None, None))[1])
    ]


def _names(delivery: Delivery, due_ms: int | None) -> set[str]:
    """Return the names of a delivery's state; one that fails is pending too."""
    return {str(visible_state(delivery, due_ms)), find_trouble(delivery) or ""}


def _answered(delivery: Delivery, wanted: str) -> bool:
    if not delivery.attempts:
        return False
    status = delivery.attempts[-1].status
    if status is None:
        return wanted == "none"
    return wanted in (str(status), f"{status // 100}xx")

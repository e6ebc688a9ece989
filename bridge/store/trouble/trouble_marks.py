"""List deliveries in trouble, in the same step that changes their records."""

from typing import Final, Protocol

from msgspec import Struct

from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Delivery, find_trouble
from bridge.store import keys
from bridge.store.cluster_commands import Bytes
from bridge.store.trouble import trouble_keys

_LETTERS: Final = {None: "-", "parked": "p", "failing": "f"}


class MarkCall(Protocol):
    """The call of the commit script that operations are added to."""

    keys: list[str]
    args: list[Bytes]


class TroubleMark(Struct, frozen=True, gc=False):
    """List a delivery under its present trouble, "p" parked, "f" failing or "-" none, and no longer under a former one.

    `former` is the origin that it is counted at if it is listed, `origin` that of its present lane.
    """

    project: str
    member: str
    created_ms: int
    letter: str
    origin: str
    former: str

    @property
    def indexes(self) -> tuple[str, str, str]:
        """The keys that it changes."""
        shard = keys.shard(self.member)
        return (
            trouble_keys.parked(shard, self.project),
            trouble_keys.failing(shard, self.project),
            trouble_keys.receivers(shard, self.project),
        )

    def add_to(self, call: MarkCall) -> None:
        """Add the operation to a call, in the order of the script's header."""
        call.keys += self.indexes
        call.args += ("T", self.member, self.created_ms, self.letter, self.origin, self.former)


def mark_delivery(delivery: Delivery, before: Delivery | None) -> tuple[TroubleMark, ...]:
    """Return how a delivery must be listed anew after a change, empty if that stays as it is."""
    trouble, former = find_trouble(delivery), find_trouble(before) if before else None
    origin = read_origin(delivery.lane)
    known = read_origin(before.lane) if before else origin
    if trouble == former and (trouble is None or origin == known):
        return ()
    return (_mark(delivery, trouble, origin, known),)


def unmark_delivery(delivery: Delivery) -> TroubleMark:
    """Return how a delivery is taken off the lists, if it stands there."""
    origin = read_origin(delivery.lane)
    return _mark(delivery, None, origin, origin)


def remark_delivery(delivery: Delivery) -> TroubleMark:
    """Return how a delivery is listed that stands where it does not belong, or nowhere."""
    origin = read_origin(delivery.lane)
    return _mark(delivery, find_trouble(delivery), origin, origin)


def _mark(delivery: Delivery, trouble: str | None, origin: str, former: str) -> TroubleMark:
    return TroubleMark(delivery.project, delivery.id, delivery.created_ms, _LETTERS[trouble], origin, former)

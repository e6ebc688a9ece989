"""The deliveries of one new event to all endpoints that hear it, written by one operation of a commit.

A project's endpoints may be many, so this takes as few steps for each as it can: what the records of one event share is
hashed and packed once, and the script sets and lists them all together.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import Struct, msgpack
from msgspec.structs import replace

from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Delivery, DeliveryState, new_delivery
from bridge.domain.ids import SharedHash, is_endpoint
from bridge.domain.subscriptions.endpoint import DISABLED, Endpoint
from bridge.store import endpoint_keys, keys
from bridge.store.cluster_commands import Bytes
from bridge.store.trouble.trouble_marks import TroubleMark

_PACK: Final = msgpack.Encoder().encode
_FIELDS: Final = Delivery.__struct_fields__
_ARRAY: Final = bytes((0xDC, 0, len(_FIELDS))) if len(_FIELDS) > 15 else bytes((0x90 | len(_FIELDS),))


class OpCall(Protocol):
    """The call of the commit script that operations are added to."""

    keys: list[str]
    args: list[Bytes]


class NewDelivery(NamedTuple):
    """One of these deliveries: its record as it is stored, and the lane that it is due in."""

    id: str
    packed: bytes
    endpoint: str
    lane: str
    is_due: bool


class DeliverAll(Struct, frozen=True, gc=False):
    """Write deliveries of one event of a job, due now, and list them under their job, project and endpoint."""

    job: str
    project: str
    created_ms: int
    deliveries: Sequence[NewDelivery]

    def add_to(self, call: "OpCall") -> None:
        """Add the operation to a call, in the order of the script's header."""
        shard = keys.shard(self.job)
        call.keys += (keys.job_deliveries(self.job), keys.deliveries(shard, self.project))
        call.keys += (keys.lanes(shard, "dlv"), keys.gate(shard, "dlv"))
        call.args += ("F", len(self.deliveries), self.created_ms)
        for each in self.deliveries:
            call.keys += (
                keys.delivery(each.id),
                endpoint_keys.deliveries(shard, each.endpoint),
                keys.lane(shard, "dlv", each.lane),
            )
            call.args += (each.id, each.packed, each.lane if each.is_due else "")


def deliver_to(
    endpoints: Iterable[Endpoint], event: str, job: str, project: str, *, now_ms: int
) -> DeliverAll:
    """Return the operation that delivers a new event to endpoints; to a disabled one it is parked."""
    template = _Template(event, job, project, now_ms)
    return DeliverAll(
        job=job, project=project, created_ms=now_ms, deliveries=[template.fill(each) for each in endpoints]
    )


def mark_parked(written: DeliverAll) -> list[TroubleMark]:
    """Return how those of new deliveries are listed that are parked."""
    parked = [(each.id, read_origin(each.lane)) for each in written.deliveries if not each.is_due]
    return [
        TroubleMark(written.project, identifier, written.created_ms, "p", origin, origin)
        for identifier, origin in parked
    ]


class _Template:
    """Packs the records of one event's deliveries, whose fields are but three the same."""

    def __init__(self, event: str, job: str, project: str, now_ms: int) -> None:
        self._prefix = f"dlv_{event[4]}"
        self._hash = SharedHash(event)
        sample = new_delivery(event=event, job=job, subscription="", project=project, lane="", now_ms=now_ms)
        parked = park_new(sample)
        packed = {name: _PACK(getattr(sample, name)) for name in _FIELDS}
        self._before = packed["event"] + packed["job"]
        self._between = packed["project"]
        self._due = b"".join(packed[name] for name in _FIELDS[6:])
        self._parked = b"".join(_PACK(getattr(parked, name)) for name in _FIELDS[6:])

    def fill(self, endpoint: Endpoint) -> NewDelivery:
        identifier = self._prefix + self._hash.letters(endpoint.id, 25)
        packed = b"".join(
            (
                _ARRAY,
                _PACK(identifier),
                self._before,
                _PACK(endpoint.id),
                self._between,
                _PACK(endpoint.lane),
                self._due if endpoint.enabled else self._parked,
            )
        )
        return NewDelivery(identifier, packed, endpoint.id, endpoint.lane, endpoint.enabled)


def park_new(delivery: Delivery) -> Delivery:
    """Return a new delivery of a disabled endpoint: kept, and sent when somebody asks for it."""
    return replace(delivery, state=DeliveryState.PARKED, reason=DISABLED, done_ms=delivery.created_ms)


def list_indexes(delivery: Delivery) -> Sequence[str]:
    """Return the keys of the indexes that a delivery stands in beside those of its job."""
    mine = keys.deliveries(delivery.id[4], delivery.project)
    if not is_endpoint(delivery.subscription):
        return (mine,)
    return (mine, endpoint_keys.deliveries(delivery.id[4], delivery.subscription))

"""Choose the endpoints that hear a job's new events, in the same step as these events are written."""

from typing import Final

from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.callbacks import callbacks_by_id
from bridge.domain.jobs.outcome import Transition
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.watches import is_watch
from bridge.domain.js_json import to_js_json
from bridge.domain.subscriptions.callback import Callback
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.providers.registry import CATALOGUE, KINDS
from bridge.services.context import Services, kind_traits
from bridge.store.unit_of_work import UnitOfWork

MOST_DELIVERIES: Final = 2_000  # of one commit: its script holds up all others in the shard
# What an event says of its job's callbacks, in bytes of JSON: it is kept with each event and sent to each endpoint.
MOST_LISTED_BYTES: Final = 64 * 1024


async def choose_table(services: Services, project: str, shard: str, *, again: bool) -> EndpointTable:
    """Return the endpoints to decide with; `again`: a commit that was decided with the known ones was refused."""
    endpoints = services.store.endpoints
    return await (endpoints.level(project, shard) if again else endpoints.table(project))


def deliver_to_endpoints(unit: UnitOfWork, table: EndpointTable, event: EventRecord, *, job: Job) -> None:
    """Add the deliveries of a new event to all endpoints that it matches."""
    known = CATALOGUE.types[event.type]
    unit.deliver_to(table.matching(event.type, ending=known.ending, persona=persona_of(job)), event)


def persona_of(job: Job) -> str:
    """Return the persona of a job as its provider shows it, empty for kinds that show none; a source and a chain have one."""
    return job.persona if job.kind not in KINDS or kind_traits(job.kind).persona_field else ""


def plan_portion(table: EndpointTable, moved: Transition) -> int | None:
    """Return how many of a transition's new events fit into one commit; None: all of them."""
    if len(moved.new_events) < 2:
        return None
    total = _count_deliveries(table, moved)
    if total <= MOST_DELIVERIES:
        return None
    return max(1, MOST_DELIVERIES * len(moved.new_events) // total - 1)  # beside the job's own ending


def _count_deliveries(table: EndpointTable, moved: Transition) -> int:
    """Return how many deliveries a transition makes, to callbacks and to endpoints."""
    persona = persona_of(moved.job)
    types = (each.draft.type for each in moved.new_events)
    matching = (
        len(table.matching(each, ending=CATALOGUE.types[each].ending, persona=persona)) for each in types
    )
    return len(moved.notifications) + sum(matching)


def list_callbacks_in_event(job: Job) -> bytes:
    """Return the job's callbacks as JSON, newest last, each with its id and metadata, as an endpoint's event shows them.

    Those that were cancelled are left out, and the oldest where all would be too large.
    """
    listed: list[bytes] = []
    left = MOST_LISTED_BYTES
    for callback in reversed([each for each in callbacks_by_id(job).values() if _is_listed(each)]):
        shown = to_js_json({"id": callback.id, "metadata": callback.metadata})
        left -= len(shown) + 1
        if left < 0:
            break
        listed.append(shown)
    return b"[%b]" % b",".join(reversed(listed))


def _is_listed(callback: Callback) -> bool:
    return not (callback.is_stopped or callback.group or is_watch(callback.origin))

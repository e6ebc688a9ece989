"""Note which job came of which, where an answer or a call of the provider says so, and when syncs ended."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from bridge.domain.groups.child_rule import ChildRule
from bridge.domain.jobs.outcome import NewEvent, Transition
from bridge.domain.jobs.records import Job
from bridge.domain.observation import Outcome
from bridge.domain.starts.records import StartedJob
from bridge.providers.registry import CHILD_RULES, PROVIDERS
from bridge.providers.status_words import read_id
from bridge.services.context import Services
from bridge.store.chains.chains import note_child
from bridge.store.commit import Op
from bridge.store.tables.following import note_synced

MOST_NAMED = 100  # parts that one object names
SYNC_WINDOW_S = 60.0  # between a sync's end and the time that its source shows
SYNC_KINDS = frozenset(each.sources.synced_by for each in PROVIDERS.values() if each.sources is not None)


@cache
def _rules_for(kind: str) -> tuple[ChildRule, ...]:
    return tuple(each for each in CHILD_RULES.values() if each.kind == kind and each.list_field)


def list_named_parts(key: str, job: Job, data: Mapping[str, Any]) -> Iterator[Op]:
    """Yield the operations that note what a job came of, as its object says it."""
    for rule in _rules_for(job.kind):
        entries = data.get(rule.list_field)
        for entry in entries[:MOST_NAMED] if isinstance(entries, list) else ():
            part = read_id(entry.get(rule.name_field)) if isinstance(entry, dict) else None
            if part:
                yield note_child(key[0], job.account, job.kind, part, job.id)


def list_started_children(shard: str, account: str, jobs: Sequence[StartedJob]) -> list[Op]:
    """Return the operations that note what jobs came of, as the call that began them says it."""
    return [note_child(shard, account, each.kind, each.parent, each.id) for each in jobs if each.parent]


def list_syncs(services: Services, key: str, moved: Transition, *, now_ms: int) -> Iterator[Op]:
    """Yield the operation that notes a sync which has ended now, so that its source's list tells nothing new."""
    job = moved.job
    if job.kind in SYNC_KINDS and any(each.draft.closes and _has_synced(each) for each in moved.new_events):
        window_ms = services.time_scale.ms(SYNC_WINDOW_S)
        yield note_synced(key[0], job.account, job.persona, at_ms=now_ms, window_ms=window_ms)


def _has_synced(event: NewEvent) -> bool:
    return event.draft.fact.outcome is Outcome.SUCCEEDED

"""Note which job came of which, where an answer or a call of the provider says so: chains look it up."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from bridge.domain.groups.child_rule import ChildRule
from bridge.domain.jobs.records import Job
from bridge.domain.starts.records import StartedJob
from bridge.providers.registry import CHILD_RULES
from bridge.providers.status_words import read_id
from bridge.store.chains.chains import note_child
from bridge.store.commit import Op

MOST_NAMED = 100  # parts that one object names


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

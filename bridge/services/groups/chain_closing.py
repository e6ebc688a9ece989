"""What the closing event of a chain says: the tree of what came of a job, each with what it came of."""

from collections.abc import Iterator, Mapping, Sequence

from bridge.domain.events.catalogue import event_type
from bridge.domain.events.event import Fact
from bridge.domain.events.records import EventRecord
from bridge.domain.groups.chain import ChainNode, judge_node
from bridge.domain.groups.outcomes import count_outcomes, explain_outcome, join_outcomes
from bridge.domain.groups.turn import ENDED
from bridge.domain.ids import event_id, job_key
from bridge.domain.jobs.emitted import identify, list_emitted, name_delivery
from bridge.domain.jobs.records import Job
from bridge.domain.observation import Outcome
from bridge.providers.registry import KINDS
from bridge.services.groups.rows import Row, fit_rows, show_job


def outcome_of(kind: str, ending: str) -> Outcome:
    """Return what an ending of a kind amounts to; unknown where no such ending was seen."""
    return KINDS[kind].ending_words.get(ending, Outcome.UNKNOWN)


def close_chain(
    chain: Job, nodes: Sequence[ChainNode], events: Mapping[str, EventRecord], *, shard: str
) -> Fact:
    """Return the fact that a chain has closed; `events` are those that say how its jobs ended, by id."""
    shown = [_show_node(node, nodes, events.get(node.member.event)) for node in nodes]
    rows = [*shown]
    leaves: list[tuple[str, Outcome]] = []
    for node, row in zip(nodes, shown, strict=True):
        ends = [*_list_parts(node, shard=shard), *_list_unknown(node)]
        rows += ends
        if ends:
            leaves += [(each["id"] or row["id"], Outcome(each["outcome"])) for each in ends]
        elif not node.has_child:
            leaves.append((row["id"], judge_node(node)))
    outcome = join_outcomes(each for _, each in leaves)
    root = {name: rows[0][name] for name in ("kind", "id")}
    data, shortened = fit_rows({"id": chain.id, "status": ENDED, "root": root, "total": len(rows)}, rows)
    return Fact(
        word=ENDED,
        kind=chain.kind,
        job_id=chain.id,
        status=ENDED,
        outcome=outcome,
        error=explain_outcome(outcome, leaves),
        summary=count_outcomes([Outcome(row["outcome"]) for row in rows]),
        related=rows[0]["related"],
        data=data,
        run=chain.run,
        late=False,
        shortened=shortened,
    )


def _show_node(node: ChainNode, nodes: Sequence[ChainNode], event: EventRecord | None) -> Row:
    member = node.member
    parent = nodes[member.parent].member if member.parent >= 0 else None
    row = show_job(member.kind, member.id, event)
    if event is None and node.job is not None:  # open, so far as is known
        row |= {"status": node.job.status or None, "run": node.job.run}
    above = {"kind": parent.kind, "id": parent.id} if parent else None
    return {**row, "parent": above, "link": member.link, "review": node.review or None}


def _list_parts(node: ChainNode, *, shard: str) -> Iterator[Row]:
    """Yield the parts of a job whose ends are events of their own, as its last read showed them."""
    job, part_of = node.job, KINDS[node.member.kind].traits.reported_parts
    if job is None or part_of is None:
        return
    runs, key = list_emitted(job.emitted), job_key(shard, job.account, job.kind, job.id)
    for part, word in job.parts:
        fact = name_delivery(part, word)
        run = runs.get(identify(job.run, fact)) if word else None
        event = "" if run is None else _name_event(job, key, run, fact)
        yield {
            **show_job(part_of.kind, part, None),
            "event_id": event,
            "type": event_type(part_of.kind, word) if word else "",
            "status": word or None,
            "outcome": str(outcome_of(part_of.kind, word)),
            "related": {part_of.parent_field: job.id},
            "run": job.run,
            "parent": {"kind": job.kind, "id": job.id},
            "link": "known",
            "review": None,
        }


def _name_event(job: Job, key: str, run: int, fact: str) -> str:
    return event_id(project=job.project, key=key, born_ms=job.born_ms, run=run, fact=fact)


def _list_unknown(node: ChainNode) -> Iterator[Row]:
    """Yield what certainly came of a job, although nothing tells its id."""
    rule = node.rule
    if rule is None or node.has_child or not rule.confirmed_by or node.review != rule.confirmed_by:
        return
    yield {
        **show_job(rule.kind, "", None),
        "status": node.review,
        "outcome": str(node.outcome),
        "data": {"id": ""},
        "parent": {"kind": node.member.kind, "id": node.member.id},
        "link": "unknown",
        "review": None,
    }

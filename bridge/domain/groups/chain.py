"""A chain's turn: how far a job and all that comes of it are, and when nothing can come any more. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.groups.child_rule import ChildRule
from bridge.domain.groups.outcomes import GOOD
from bridge.domain.groups.turn import LOST, TIMED_OUT
from bridge.domain.jobs.emitted import list_reviews
from bridge.domain.jobs.intervals import IDLE_INTERVAL_S, IDLE_LASTS_S, TAIL_INTERVAL_S, TimeScale
from bridge.domain.jobs.records import Job, JobState, Member
from bridge.domain.jobs.runs import has_ended
from bridge.domain.jobs.watches import find_member_watch, name_group
from bridge.domain.observation import Outcome
from bridge.domain.subscriptions.callback import CallbackState

MOST_MEMBERS: Final = 500  # jobs of one chain; what comes beyond is not followed
CHAIN_LASTS_S: Final = IDLE_LASTS_S  # not scaled
Jobs = Mapping[tuple[str, str], Job]
OutcomeOf = Callable[[str, str], Outcome]


class ChainNode(Struct, frozen=True, kw_only=True):
    """A member of a chain with its record, and what may come of it, which is None where nothing may."""

    member: Member
    job: Job | None
    rule: ChildRule | None
    outcome: Outcome
    has_child: bool

    @property
    def review(self) -> str:
        """The last result of its review that had an event, empty without one."""
        reviews = list_reviews(self.job.emitted) if self.job else ()
        return reviews[-1] if reviews else ""


def read_chain(chain: Job, jobs: Jobs, *, now_ms: int) -> tuple[Member, ...]:
    """Return a chain's members as their records show them now."""
    name = name_group(chain.kind, chain.id)
    return tuple(_read(each, jobs.get((each.kind, each.id)), name, now_ms=now_ms) for each in chain.members)


def _read(member: Member, job: Job | None, chain: str, *, now_ms: int) -> Member:
    ending, event = _find_ending(job, chain)
    if not ending:  # a job that ran again is open again
        return replace(member, ending="", event="", ended_ms=0)
    if (ending, event) == (member.ending, member.event):
        return member
    return replace(member, ending=ending, event=event, ended_ms=now_ms)


def _find_ending(job: Job | None, chain: str) -> tuple[str, str]:
    """Return how a member has ended and the event that says so; the ending is empty while it is open."""
    watch = find_member_watch(job, chain) if job else None
    if job is None or watch is None or watch.state is CallbackState.CANCELLED:
        return LOST, ""
    if job.state is JobState.ENDED and has_ended(job):
        return job.ending, job.ending_event
    if job.ending == "not_found":
        return job.ending, job.ending_event
    if watch.timed_out_run >= job.run:
        return TIMED_OUT, watch.closed_by
    return (LOST, "") if watch.state is CallbackState.ENDED else ("", "")


def build_nodes(
    members: Sequence[Member], jobs: Jobs, *, rules: Mapping[str, ChildRule], outcome_of: OutcomeOf
) -> list[ChainNode]:
    """Return the members of a chain with what is known of each."""
    parents = {each.parent for each in members}
    return [
        ChainNode(
            member=each,
            job=jobs.get((each.kind, each.id)),
            rule=rules.get(each.kind),
            outcome=outcome_of(each.kind, each.ending) if each.ending else Outcome.UNKNOWN,
            has_child=place in parents,
        )
        for place, each in enumerate(members)
    ]


def open_until_ms(node: ChainNode, *, persona: str, scale: TimeScale) -> int | None:
    """Return until when something may come of a job that has ended, 0 if nothing may; None while it is open."""
    rule, ended_ms = node.rule, node.member.ended_ms
    if not node.member.ending:
        return None
    if rule is None or node.outcome not in GOOD:
        return 0
    if rule.by_persona:
        return ended_ms + scale.ms(rule.within_s) if persona else 0
    if node.has_child or node.review == rule.refused_by:
        return 0
    if node.review == rule.confirmed_by:  # its link may be seen a moment later
        return ended_ms + scale.ms(IDLE_INTERVAL_S)
    return ended_ms + scale.ms(rule.within_s)


def waits_for_link(node: ChainNode) -> bool:
    """Return whether a job has ended so that something may have come of it that is not known yet."""
    return node.rule is not None and not node.rule.by_persona and not node.has_child and node.outcome in GOOD


def plan_delay_ms(
    nodes: Sequence[ChainNode], *, persona: str, ends_ms: int, now_ms: int, scale: TimeScale
) -> int | None:
    """Return when to look at a chain again, at the latest; None if nothing can come any more, or its time is over."""
    untils = [open_until_ms(each, persona=persona, scale=scale) for each in nodes]
    if now_ms >= ends_ms or all(each is not None and each <= now_ms for each in untils):
        return None
    usual_s = IDLE_INTERVAL_S if any(map(waits_for_link, nodes)) else TAIL_INTERVAL_S
    ahead = [each for each in (*untils, ends_ms) if each is not None and each > now_ms]
    return max(1, min(scale.ms(usual_s), *(each - now_ms for each in ahead)))


def judge_node(node: ChainNode) -> Outcome:
    """Return what a job of a closed chain has come to: one that was refused is skipped, one without a review unknown."""
    rule = node.rule
    if rule is None or rule.by_persona or node.outcome not in GOOD or node.has_child:
        return node.outcome
    if node.review == rule.refused_by:
        return Outcome.SKIPPED
    return node.outcome if node.review == rule.confirmed_by else Outcome.UNKNOWN


def add_members(
    members: tuple[Member, ...], parent: int, kind: str, ids: Sequence[str], *, link: str
) -> tuple[Member, ...]:
    """Return the members with new ones of a kind that came of one of them, as far as there is room."""
    known = {(each.kind, each.id) for each in members}
    new = [Member(kind=kind, id=each, parent=parent, link=link) for each in ids if (kind, each) not in known]
    return (*members, *new[: max(0, MOST_MEMBERS - len(members))])

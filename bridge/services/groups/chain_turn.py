"""Take a chain's turn: find what came of its jobs, pass on their news, and close it once nothing can come any more."""

import json
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.events.records import EventRecord
from bridge.domain.groups.chain import (
    CHAIN_LASTS_S,
    ChainNode,
    Jobs,
    add_members,
    build_nodes,
    open_until_ms,
    plan_delay_ms,
    read_chain,
)
from bridge.domain.groups.child_rule import ChildRule
from bridge.domain.groups.turn import PassedOn, advance_group
from bridge.domain.ids import job_key
from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.emitted import list_reviews
from bridge.domain.jobs.outcome import PollContext, Transition
from bridge.domain.jobs.records import Job, JobState, Member
from bridge.providers.registry import CATALOGUE, CHILD_RULES, KINDS
from bridge.services.context import Services
from bridge.services.groups.chain_closing import close_chain, outcome_of
from bridge.services.groups.children import find_children
from bridge.services.groups.group_registration import watch_for_chain
from bridge.services.groups.rows import date_turn, load_by_id, load_members
from bridge.services.jobs.observe import Held
from bridge.services.jobs.registration import stage_registrations
from bridge.services.subscriptions.members import stage_stop_members
from bridge.store.chains.chains import end_waiting, wait_for_posts
from bridge.store.commit import Op
from bridge.store.tables.indexes import list_event
from bridge.store.unit_of_work import UnitOfWork

MOST_NEWS = 50  # events of a job that one turn passes on


class ChainStep(Struct, frozen=True, kw_only=True):
    """What a chain's turn leads to: its transition, the events that it passes on, new members, and operations beside."""

    moved: Transition
    at: PollContext
    passed: Sequence[EventRecord]
    added: Sequence[Member]
    ops: Sequence[Op]


async def plan_chain_turn(services: Services, held: Held, at: PollContext, *, grows: bool) -> ChainStep:
    """Decide a chain's turn; unless it `grows`, it takes no new members."""
    chain, key = held.job.record, held.key
    jobs = await load_members(services, key[0], chain.account, chain.members)
    is_open = chain.state is not JobState.ENDED and bool(list_live_callbacks(chain))
    read = read_chain(chain, jobs, now_ms=at.now_ms) if is_open else chain.members
    members = await _find_children(services, key, read, jobs) if grows and is_open else read
    root = jobs.get((read[0].kind, read[0].id))
    chain = replace(chain, persona=root.persona if root and root.persona else chain.persona)
    nodes = build_nodes(members, jobs, rules=CHILD_RULES, outcome_of=outcome_of)
    news = await _list_news(services, key[0], chain, nodes)
    members = tuple(_mark_told(node) for node in nodes)
    delay_ms = plan_delay_ms(
        nodes,
        persona=chain.persona,
        ends_ms=_ends_ms(chain),
        now_ms=at.now_ms,
        scale=services.time_scale,
    )
    closes = delay_ms is None and is_open
    events = await load_by_id(services, (each.event for each in members)) if closes else {}
    at = date_turn(replace(at, lag_max_ms=0), news)  # a chain that closes by its time closes now
    moved = advance_group(
        chain,
        held.log,
        members=members,
        fact=close_chain(chain, nodes, events, shard=key[0]) if closes else None,
        passed=[PassedOn(event=each.id, type=each.type, is_usual=_is_usual(each.type)) for each in news],
        key=key,
        at=at,
        scale=services.time_scale,
        delay_ms=delay_ms,
    )
    return ChainStep(
        moved=moved,
        at=at,
        passed=news,
        added=members[len(read) :],
        ops=_wait(services, key, moved.job, nodes),
    )


async def stage_chain(services: Services, unit: UnitOfWork, held: Held, step: ChainStep) -> None:
    """Add what a chain's turn writes beside its record: watches on new members, or the end of all of them."""
    chain = step.moved.job
    unit.add(step.ops)
    unit.add(list_event(held.key, each) for each in step.passed)
    if step.ops and list_live_callbacks(chain):
        await services.store.following.add_project(chain.project)
    if not list_live_callbacks(chain):
        await stage_stop_members(services, unit, chain)
    elif step.added and (account := await services.store.accounts.get(chain.account)) is not None:
        commands = [watch_for_chain(chain, each) for each in step.added]
        await stage_registrations(services, unit, account, commands)


async def _find_children(
    services: Services, key: str, members: tuple[Member, ...], jobs: Jobs
) -> tuple[Member, ...]:
    """Return a chain's members with those that are now known to have come of them."""
    chains = services.store.chains
    for place, each in enumerate(members):
        rule, job = CHILD_RULES.get(each.kind), jobs.get((each.kind, each.id))
        if rule is None or job is None:
            continue
        if rule.by_persona:
            members = add_members(members, place, rule.kind, await chains.found(key), link="inferred")
        else:
            found = await find_children(
                services, job, rule, looks=_looks_for(each, job, rule, members, place)
            )
            members = add_members(members, place, rule.kind, found, link="known")
    return members


def _looks_for(member: Member, job: Job, rule: ChildRule, members: Sequence[Member], place: int) -> bool:
    """Return whether a review says that something came of a job, and nothing tells what."""
    reviews = list_reviews(job.emitted)
    is_passed = bool(reviews) and reviews[-1] != rule.refused_by
    return bool(member.ending) and is_passed and all(each.parent != place for each in members)


async def _list_news(
    services: Services, shard: str, chain: Job, nodes: Sequence[ChainNode]
) -> list[EventRecord]:
    """Return the events of members that a chain's callbacks have not heard, as far as somebody hears them."""
    if not list_live_callbacks(chain):
        return []
    told: dict[str, int] = {}
    for node in nodes:
        if node.job is not None and (count := node.job.sequence - node.member.told) > 0:
            key = job_key(shard, chain.account, node.job.kind, node.job.id)
            latest = await services.store.indexes.latest_job_events(key, min(count, MOST_NEWS))
            told |= dict.fromkeys(latest, node.member.told)
    events = (await load_by_id(services, told)).values()
    return [each for each in events if each.at_ms >= chain.run_ms and _read_sequence(each) > told[each.id]]


def _read_sequence(event: EventRecord) -> int:
    return int(json.loads(event.body)["sequence"])


def _mark_told(node: ChainNode) -> Member:
    return replace(node.member, told=node.job.sequence) if node.job is not None else node.member


def _is_usual(type_: str) -> bool:
    """Return whether a chain's callback without a filter hears of an event: an ending, or the result of a review."""
    known = CATALOGUE.types[type_]
    return known.ending or (known.kind in KINDS and known.word in KINDS[known.kind].review_words)


def _ends_ms(chain: Job) -> int:
    """Return when a chain closes whatever is open: with the last time-out that its callbacks name, else after 30 days."""
    lasts = [
        CHAIN_LASTS_S if each.timeout_s is None else each.timeout_s for each in list_live_callbacks(chain)
    ]
    return chain.run_ms + round(max(lasts, default=CHAIN_LASTS_S) * 1000)


def _wait(services: Services, key: str, chain: Job, nodes: Sequence[ChainNode]) -> Sequence[Op]:
    """Return the operations by which posts that begin are looked for, until so long after a job's end."""
    if not chain.persona or not any(node.rule and node.rule.by_persona for node in nodes):
        return ()
    if not list_live_callbacks(chain):
        return end_waiting(key, chain.account, (chain.persona,))
    untils = [
        open_until_ms(node, persona=chain.persona, scale=services.time_scale)
        for node in nodes
        if node.rule and node.rule.by_persona
    ]
    until_ms = max(_ends_ms(chain) if each is None else each for each in untils)
    return (wait_for_posts(key, chain.account, chain.persona, until_ms=until_ms),)

"""Start work: syncs, generated posts and outgoing posts, with random durations and their costs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bridge.simulator.behaviour.durations import DELIVERY, QUEUE, SYNC, SYNC_COOLDOWN_S
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import SimulatedJob
from bridge.simulator.jobs.objects import new_delivery, new_item, new_outgoing, new_post, new_sync_job
from bridge.simulator.jobs.scripts import PlannedPart, ScriptOutcome
from bridge.simulator.jobs.timeline import TimelineStep
from bridge.simulator.requests.errors import Problem
from bridge.simulator.state.ledger import Entry
from bridge.simulator.state.personas import Persona, Source
from bridge.simulator.state.simulator_state import SimulatorState

SYNC_CENTS = 2
_ITEM_CENTS = {"image": 10, "video": 25}
_FOUND = 3  # posts that a sync finds


def cost_cents(parts: Sequence[PlannedPart]) -> int:
    """Return what a run costs, in cents."""
    return sum(_ITEM_CENTS.get(str(part.fields["media_type"]), 10) for part in parts)


def draw_parts(
    state: SimulatorState, media_types: Sequence[str], outcome: ScriptOutcome, *, discount: bool
) -> list[PlannedPart]:
    """Return new media items with random ids and durations."""
    fails = scripts.fails_by_position(outcome, len(media_types))
    return [
        PlannedPart(
            fields=new_item(state.dice.uuid(), media_type, discount=discount),
            seconds=state.dice.media_seconds(media_type),
            fails=failing,
        )
        for media_type, failing in zip(media_types, fails, strict=True)
    ]


def media_types_of(state: SimulatorState, source_post_id: str, outcome: ScriptOutcome) -> list[str]:
    """Return the types of a source post's items: as its id says, else one to three items of random types."""
    count = state.dice.between(2 if outcome == "partial" else 1, 3)
    for media_type in ("image", "video"):
        if media_type in source_post_id.lower():
            return [media_type] * count
    return ["video" if state.dice.between(0, 1) else "image" for _ in range(count)]


def charge(
    state: SimulatorState,
    account: str,
    cents: int,
    operation: str,
    *,
    at: float,
    post_id: str | None = None,
    item_id: str | None = None,
) -> str:
    """Debit an account and return the transaction's id; Problem 402 when the balance is too small."""
    balance = state.ledger.balance_cents(account, state.switches.start_balance_cents, at)
    if balance < cents:
        raise Problem(402, "Not enough balance", details={"required_cents": cents, "balance_cents": balance})
    entry = Entry(
        id=state.dice.uuid(),
        at=at,
        amount_cents=-cents,
        operation=operation,
        description=f"{operation} debit",
        post_id=post_id,
        item_id=item_id,
    )
    state.ledger.add(account, entry)
    return entry.id


def charge_items(
    state: SimulatorState, account: str, post_id: str | None, parts: Sequence[PlannedPart], *, at: float
) -> None:
    """Debit a run item by item; an item that will fail is refunded at that time."""
    for part in parts:
        cents = cost_cents([part])
        debit = charge(state, account, cents, "generation", at=at, post_id=post_id, item_id=part.id)
        if part.fails:
            refund = Entry(
                id=state.dice.uuid(),
                at=at + part.seconds / state.speed,
                amount_cents=cents,
                operation="refund",
                description="generation failed",
                post_id=post_id,
                item_id=part.id,
                refund_of=debit,
            )
            state.ledger.add(account, refund)


def begin_post(
    state: SimulatorState,
    persona: Persona,
    *,
    account: str,
    source_post_id: str,
    outcome: ScriptOutcome,
    at: float | None = None,
) -> tuple[SimulatedJob, float]:
    """Start a generated post; return it and the Unix time at which its last item ends."""
    post_id, starts_at = state.dice.uuid(), state.clock() if at is None else at
    discount = bool(persona.fields.get("discount_mode"))
    media = media_types_of(state, source_post_id, outcome)
    parts = draw_parts(state, media, outcome, discount=discount)
    charge_items(state, account, post_id, parts, at=starts_at)
    begins_s = state.dice.seconds(QUEUE)
    job = state.start_job(
        "generated_post",
        post_id,
        new_post(post_id, persona_id=persona.id, source_post_id=source_post_id, switches=state.switches),
        scripts.post_steps(parts, begins_s=begins_s, switches=state.switches),
        owner=account,
        persona_id=persona.id,
        at=starts_at,
    )
    last_s = begins_s + max(part.seconds for part in parts)
    return job, starts_at + last_s / state.speed


def delivery_parts(
    state: SimulatorState, accounts: Sequence[dict[str, Any]], outcome: ScriptOutcome
) -> list[PlannedPart]:
    """Return a new delivery for each connected account."""
    fails = scripts.fails_by_position(outcome, len(accounts))
    return [
        PlannedPart(
            fields=new_delivery(state.dice.uuid(), target),
            seconds=state.dice.seconds(DELIVERY),
            fails=failing,
        )
        for target, failing in zip(accounts, fails, strict=True)
    ]


def begin_outgoing(
    state: SimulatorState,
    persona: Persona,
    *,
    account: str,
    item_ids: Sequence[str],
    caption: str | None,
    parts: Sequence[PlannedPart] = (),
    at: float | None = None,
) -> SimulatedJob:
    """Start an outgoing post: published at once if there are `parts`, else a draft."""
    outgoing_id = state.dice.uuid()
    items = [
        {
            "id": state.dice.uuid(),
            "generated_media_item_id": item_id,
            "position": position,
            "use_voice_converted": False,
        }
        for position, item_id in enumerate(item_ids)
    ]
    initial = new_outgoing(outgoing_id, persona_id=persona.id, caption=caption, items=items)
    steps = scripts.publish_steps(parts, at_s=0.0, switches=state.switches) if parts else ()
    return state.start_job(
        "outgoing_post", outgoing_id, initial, steps, owner=account, persona_id=persona.id, at=at
    )


def begin_syncs(state: SimulatorState, persona: Persona, *, account: str) -> list[SimulatedJob]:
    """Start a sync job for each source, and plan what follows from the source's automation mode."""
    return [_begin_sync(state, persona, source, account) for source in persona.sources.values()]


def _begin_sync(state: SimulatorState, persona: Persona, source: Source, account: str) -> SimulatedJob:
    now, job_id = state.clock(), state.dice.uuid()
    initial = new_sync_job(job_id, persona_id=persona.id, switches=state.switches)
    if state.switches.extra_fields:
        initial["source_id"] = source.id
    last = source.last_sync_began_at
    if last is not None and (now - last) * state.speed < SYNC_COOLDOWN_S:
        skipped = initial | {"status": "skipped"}
        return state.start_job("sync_job", job_id, skipped, owner=account, persona_id=persona.id)
    source.last_sync_began_at = now
    outcome = scripts.outcome_of(persona.id, source.handle, default=state.switches.start_outcome)
    seconds = state.dice.seconds(SYNC)
    charge(state, account, SYNC_CENTS, "sync", at=now)
    if outcome not in ("failed", "skipped"):
        source.syncs.append((state.time_after(seconds), _FOUND))
        _automate(state, persona, source, account, at=state.time_after(seconds))
    steps = scripts.sync_steps(seconds, outcome, state.switches)
    return state.start_job("sync_job", job_id, initial, steps, owner=account, persona_id=persona.id)


def _automate(state: SimulatorState, persona: Persona, source: Source, account: str, *, at: float) -> None:
    """Plan the work that starts without a client's call (guide "Automation", automation_mode)."""
    if source.mode == "sync_only":
        return
    job, ends_at = begin_post(
        state, persona, account=account, source_post_id=f"{source.id}-post-1", outcome="completed", at=at
    )
    if source.mode == "auto_publish" and persona.targets:
        item_ids = [part["id"] for step in job.timeline.steps for part in step.add]
        parts = delivery_parts(state, persona.target_accounts(), "completed")
        begin_outgoing(
            state, persona, account=account, item_ids=item_ids, caption=None, parts=parts, at=ends_at
        )
        published_s = (ends_at - at) * state.speed + min(part.seconds for part in parts)
        published = TimelineStep(at_s=published_s, set={"review_status": "published"})
        job.replace_timeline(job.timeline.with_steps((published,)))


def plan_retries(
    state: SimulatorState, old: Sequence[dict[str, object]], outcome: ScriptOutcome, *, same_ids: bool
) -> list[PlannedPart]:
    """Return new tries of media items, under their own ids or under new ones."""
    parts = draw_parts(
        state,
        [str(item["media_type"]) for item in old],
        outcome,
        discount=any(bool(item.get("discount_applied")) for item in old),
    )
    if not same_ids:
        return parts
    return [
        replace(part, fields={**part.fields, "id": item["id"]}) for part, item in zip(parts, old, strict=True)
    ]

"""Begin work: syncs, generated posts and outgoing posts, with drawn lifetimes and what they cost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bridge.simulator.behaviour.durations import DELIVERY, QUEUE, SYNC, SYNC_COOLDOWN_S
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import Job
from bridge.simulator.jobs.objects import new_delivery, new_item, new_outgoing, new_post, new_sync_job
from bridge.simulator.jobs.scripts import Outcome, Part
from bridge.simulator.requests.errors import Problem
from bridge.simulator.state.ledger import Entry
from bridge.simulator.state.personas import Persona, Source
from bridge.simulator.state.simulator_state import World

SYNC_CENTS = 2
_ITEM_CENTS = {"image": 10, "video": 25}
_FOUND = 3  # posts that a sync finds


def cost_cents(parts: Sequence[Part]) -> int:
    """Tell what a run costs."""
    return sum(_ITEM_CENTS.get(str(part.fields["media_type"]), 10) for part in parts)


def new_parts(world: World, media_types: Sequence[str], outcome: Outcome, *, discount: bool) -> list[Part]:
    """Draw ids and lifetimes of media items."""
    fails = scripts.fails_by_position(outcome, len(media_types))
    return [
        Part(
            fields=new_item(world.dice.uuid(), media_type, discount=discount),
            seconds=world.dice.media_seconds(media_type),
            fails=failing,
        )
        for media_type, failing in zip(media_types, fails, strict=True)
    ]


def media_types_of(world: World, source_post_id: str, outcome: Outcome) -> list[str]:
    """Decide what a source post consists of: what its id says, else one to three items of both types."""
    count = world.dice.between(2 if outcome == "partial" else 1, 3)
    for media_type in ("image", "video"):
        if media_type in source_post_id.lower():
            return [media_type] * count
    return ["video" if world.dice.between(0, 1) else "image" for _ in range(count)]


def charge(
    world: World,
    account: str,
    cents: int,
    operation: str,
    *,
    at: float,
    post_id: str | None = None,
    item_id: str | None = None,
) -> str:
    """Debit an account; Problem 402 when it has too little."""
    balance = world.ledger.balance_cents(account, world.switches.start_balance_cents, at)
    if balance < cents:
        raise Problem(402, "Not enough balance", details={"required_cents": cents, "balance_cents": balance})
    entry = Entry(
        id=world.dice.uuid(),
        at=at,
        amount_cents=-cents,
        operation=operation,
        description=f"{operation} debit",
        post_id=post_id,
        item_id=item_id,
    )
    world.ledger.add(account, entry)
    return entry.id


def charge_items(
    world: World, account: str, post_id: str | None, parts: Sequence[Part], *, at: float
) -> None:
    """Debit a run item by item; a failing item is refunded when it fails."""
    for part in parts:
        cents = cost_cents([part])
        debit = charge(world, account, cents, "generation", at=at, post_id=post_id, item_id=part.id)
        if part.fails:
            refund = Entry(
                id=world.dice.uuid(),
                at=at + part.seconds / world.speed,
                amount_cents=cents,
                operation="refund",
                description="generation failed",
                post_id=post_id,
                item_id=part.id,
                refund_of=debit,
            )
            world.ledger.add(account, refund)


def begin_post(
    world: World,
    persona: Persona,
    *,
    account: str,
    source_post_id: str,
    outcome: Outcome,
    at: float | None = None,
) -> tuple[Job, float]:
    """Begin a generated post; gives it and the Unix time at which its last item ends."""
    post_id, starts_at = world.dice.uuid(), world.clock() if at is None else at
    discount = bool(persona.fields.get("discount_mode"))
    media = media_types_of(world, source_post_id, outcome)
    parts = new_parts(world, media, outcome, discount=discount)
    charge_items(world, account, post_id, parts, at=starts_at)
    begins_s = world.dice.seconds(QUEUE)
    job = world.start(
        "generated_post",
        post_id,
        new_post(post_id, persona_id=persona.id, source_post_id=source_post_id, switches=world.switches),
        scripts.post_steps(parts, begins_s=begins_s, switches=world.switches),
        owner=account,
        persona_id=persona.id,
        at=starts_at,
    )
    last_s = begins_s + max(part.seconds for part in parts)
    return job, starts_at + last_s / world.speed


def delivery_parts(world: World, accounts: Sequence[dict[str, Any]], outcome: Outcome) -> list[Part]:
    """Draw a delivery for each connected account."""
    fails = scripts.fails_by_position(outcome, len(accounts))
    return [
        Part(
            fields=new_delivery(world.dice.uuid(), target),
            seconds=world.dice.seconds(DELIVERY),
            fails=failing,
        )
        for target, failing in zip(accounts, fails, strict=True)
    ]


def begin_outgoing(
    world: World,
    persona: Persona,
    *,
    account: str,
    item_ids: Sequence[str],
    caption: str | None,
    parts: Sequence[Part] = (),
    at: float | None = None,
) -> Job:
    """Begin an outgoing post: published at once where `parts` are given, else a draft."""
    outgoing_id = world.dice.uuid()
    items = [
        {
            "id": world.dice.uuid(),
            "generated_media_item_id": item_id,
            "position": position,
            "use_voice_converted": False,
        }
        for position, item_id in enumerate(item_ids)
    ]
    initial = new_outgoing(outgoing_id, persona_id=persona.id, caption=caption, items=items)
    steps = scripts.publish_steps(parts, at_s=0.0, switches=world.switches) if parts else ()
    return world.start(
        "outgoing_post", outgoing_id, initial, steps, owner=account, persona_id=persona.id, at=at
    )


def begin_syncs(world: World, persona: Persona, *, account: str) -> list[Job]:
    """Begin a sync job for each source, and plan what its automation mode makes of it."""
    return [_begin_sync(world, persona, source, account) for source in persona.sources.values()]


def _begin_sync(world: World, persona: Persona, source: Source, account: str) -> Job:
    now, job_id = world.clock(), world.dice.uuid()
    initial = new_sync_job(job_id, persona_id=persona.id, switches=world.switches)
    if world.switches.extra_fields:
        initial["source_id"] = source.id
    last = source.last_sync_began_at
    if last is not None and (now - last) * world.speed < SYNC_COOLDOWN_S:
        skipped = initial | {"status": "skipped"}
        return world.start("sync_job", job_id, skipped, owner=account, persona_id=persona.id)
    source.last_sync_began_at = now
    outcome = scripts.outcome_of(persona.id, source.handle, default=world.switches.start_outcome)
    seconds = world.dice.seconds(SYNC)
    charge(world, account, SYNC_CENTS, "sync", at=now)
    if outcome not in ("failed", "skipped"):
        source.syncs.append((world.later(seconds), _FOUND))
        _automate(world, persona, source, account, at=world.later(seconds))
    steps = scripts.sync_steps(seconds, outcome, world.switches)
    return world.start("sync_job", job_id, initial, steps, owner=account, persona_id=persona.id)


def _automate(world: World, persona: Persona, source: Source, account: str, *, at: float) -> None:
    """Plan the work that no client call starts (guide "Automation", automation_mode)."""
    if source.mode == "sync_only":
        return
    job, ends_at = begin_post(
        world, persona, account=account, source_post_id=f"{source.id}-post-1", outcome="completed", at=at
    )
    if source.mode == "auto_publish" and persona.targets:
        item_ids = [part["id"] for step in job.life.steps for part in step.add]
        parts = delivery_parts(world, persona.target_accounts(), "completed")
        begin_outgoing(
            world, persona, account=account, item_ids=item_ids, caption=None, parts=parts, at=ends_at
        )


def again(world: World, old: Sequence[dict[str, object]], outcome: Outcome, *, same_ids: bool) -> list[Part]:
    """Draw new tries of media items, under their own ids or under new ones."""
    parts = new_parts(
        world,
        [str(item["media_type"]) for item in old],
        outcome,
        discount=any(bool(item.get("discount_applied")) for item in old),
    )
    if not same_ids:
        return parts
    return [
        replace(part, fields={**part.fields, "id": item["id"]}) for part, item in zip(parts, old, strict=True)
    ]

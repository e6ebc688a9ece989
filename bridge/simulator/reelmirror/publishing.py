"""ReelMirror's publishing calls ("Create outgoing post"); the paths of publish and schedule are not documented."""

from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import Job, encode
from bridge.simulator.jobs.objects import new_outgoing
from bridge.simulator.jobs.timeline import NOW, Step, iso
from bridge.simulator.reelmirror import generation
from bridge.simulator.reelmirror.reads import find_outgoing, find_persona
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.paging import answer_page
from bridge.simulator.requests.upstream_call import Answer, UpstreamCall, answer, wrapped
from bridge.simulator.state.personas import CONNECTED_ACCOUNTS


class OutgoingItem(BaseModel):
    """One media item of an outgoing post."""

    generated_media_item_id: str
    position: int = 0
    use_voice_converted: bool = False


class CreateOutgoingBody(BaseModel):
    """`POST /v1/publishing/posts`."""

    items: list[OutgoingItem] = Field(min_length=1)
    persona_id: str | None = None
    caption: str | None = None
    target_account_ids: list[str] = Field(default_factory=list)
    platform_settings: dict[str, Any] = Field(default_factory=dict)


class UpdateOutgoingBody(BaseModel):
    """`PATCH /v1/publishing/posts/{id}`."""

    caption: str | None = None
    platform_settings: dict[str, Any] | None = None


class ScheduleBody(BaseModel):
    """`POST /v1/publishing/posts/{id}/schedule`."""

    scheduled_for: AwareDatetime


def _shown(call: UpstreamCall, job: Job, *, status: int = 200) -> Answer:
    body = job.body(call.now) or b"{}"
    return Answer(status, wrapped(body, call.world.switches.envelope_create_outgoing_post))


def create_outgoing(call: UpstreamCall) -> Answer:
    """`POST /v1/publishing/posts`: 201 and a draft."""
    body, world = call.parsed(CreateOutgoingBody), call.world
    if body.persona_id is not None:
        find_persona(call, body.persona_id)
    known = {account["id"] for account in CONNECTED_ACCOUNTS}
    if not known.issuperset(body.target_account_ids):
        raise Problem(400, "target_account_ids: unknown account", details={"field": "target_account_ids"})
    outgoing_id = world.dice.uuid()
    items = [{"id": world.dice.uuid(), **item.model_dump()} for item in body.items]
    initial = new_outgoing(outgoing_id, persona_id=body.persona_id, caption=body.caption, items=items)
    initial["platform_settings"] = body.platform_settings
    if body.target_account_ids:
        initial["target_account_ids"] = body.target_account_ids
    job = world.start("outgoing_post", outgoing_id, initial, owner=call.account, persona_id=body.persona_id)
    return _shown(call, job, status=201)


def update_outgoing(call: UpstreamCall) -> Answer:
    """`PATCH /v1/publishing/posts/{id}`: caption and settings of a draft."""
    body = call.parsed(UpdateOutgoingBody)
    job, _ = _unpublished(call)
    call.world.change(job, [Step(at_s=0, set=body.model_dump(exclude_none=True) | {"updated_at": NOW})])
    return _shown(call, job)


def publish_outgoing(call: UpstreamCall) -> Answer:
    """`POST /v1/publishing/posts/{id}/publish`: deliveries begin at once."""
    job, post = _unpublished(call)
    job.cut(call.now)
    _publish(call, job, post, in_s=0.0)
    return _shown(call, job)


def schedule_outgoing(call: UpstreamCall) -> Answer:
    """`POST /v1/publishing/posts/{id}/schedule`: deliveries begin at `scheduled_for`, a wall-clock time."""
    body = call.parsed(ScheduleBody)
    at = body.scheduled_for.astimezone(UTC)
    if at <= datetime.fromtimestamp(call.now, UTC):
        raise Problem(400, "scheduled_for: must lie ahead", details={"field": "scheduled_for"})
    job, post = _unpublished(call)
    job.cut(call.now)
    _publish(call, job, post, in_s=(at.timestamp() - call.now) * call.world.speed)
    word = scripts.outgoing_word("scheduled", call.world.switches)
    fields = {"status": word, "scheduled_for": iso(at.timestamp()), "updated_at": NOW}
    call.world.change(job, [Step(at_s=0, set=fields)])
    return _shown(call, job)


def _unpublished(call: UpstreamCall) -> tuple[Job, dict[str, Any]]:
    job, post = find_outgoing(call, call.ids["id"])
    if post["deliveries"]:
        raise Problem(409, "This post is being published already")
    return job, post


def _publish(call: UpstreamCall, job: Job, post: dict[str, Any], *, in_s: float) -> None:
    world = call.world
    wanted = post.get("target_account_ids", ())
    if wanted or job.persona_id is None:
        accounts = [account for account in CONNECTED_ACCOUNTS if not wanted or account["id"] in wanted]
    else:
        accounts = find_persona(call, job.persona_id).target_accounts()
    if not accounts:
        raise Problem(400, "The persona has no connected publishing accounts")
    outcome = scripts.outcome_of(job.id, post.get("caption") or "", default=world.switches.start_outcome)
    parts = generation.delivery_parts(world, accounts, outcome)
    world.change(job, scripts.publish_steps(parts, at_s=in_s, switches=world.switches))


def list_accounts(call: UpstreamCall) -> Answer:
    """`GET /v1/publishing/accounts`."""
    return answer_page(call, CONNECTED_ACCOUNTS, encode)


def list_targets(call: UpstreamCall) -> Answer:
    """`GET /v1/personas/{id}/publishing-targets`."""
    return answer_page(call, find_persona(call, call.ids["id"]).target_accounts(), encode)


class TargetBody(BaseModel):
    """`POST /v1/personas/{id}/publishing-targets`."""

    connected_account_id: str


def add_target(call: UpstreamCall) -> Answer:
    """Link a connected account to a persona."""
    body, persona = call.parsed(TargetBody), find_persona(call, call.ids["id"])
    if all(account["id"] != body.connected_account_id for account in CONNECTED_ACCOUNTS):
        raise Problem(404, "Connected account not found")
    if body.connected_account_id in persona.targets:
        raise Problem(409, "This account is linked already")
    persona.targets.append(body.connected_account_id)
    linked = {"persona_id": persona.id, "connected_account_id": body.connected_account_id}
    return answer(linked, call.world.switches.envelope_other, status=201)

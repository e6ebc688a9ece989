"""ReelMirror's publishing calls ("Create outgoing post"); the paths of publish and schedule are not documented."""

from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import SimulatedJob, encode
from bridge.simulator.jobs.objects import new_outgoing
from bridge.simulator.jobs.timeline import NOW, TimelineStep, iso
from bridge.simulator.reelmirror import generation
from bridge.simulator.reelmirror.reads import find_outgoing, find_persona
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.paging import respond_page
from bridge.simulator.requests.upstream_call import UpstreamCall, UpstreamResponse, respond, wrap
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


def _shown(call: UpstreamCall, job: SimulatedJob, *, status: int = 200) -> UpstreamResponse:
    body = job.body(call.now) or b"{}"
    return UpstreamResponse(status, wrap(body, call.state.switches.envelope_create_outgoing_post))


def create_outgoing(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/publishing/posts`: 201 and a draft."""
    body, state = call.parse_body(CreateOutgoingBody), call.state
    if body.persona_id is not None:
        find_persona(call, body.persona_id)
    known = {account["id"] for account in CONNECTED_ACCOUNTS}
    if not known.issuperset(body.target_account_ids):
        raise Problem(400, "target_account_ids: unknown account", details={"field": "target_account_ids"})
    outgoing_id = state.dice.uuid()
    items = [{"id": state.dice.uuid(), **item.model_dump()} for item in body.items]
    initial = new_outgoing(outgoing_id, persona_id=body.persona_id, caption=body.caption, items=items)
    initial["platform_settings"] = body.platform_settings
    if body.target_account_ids:
        initial["target_account_ids"] = body.target_account_ids
    job = state.start_job(
        "outgoing_post",
        outgoing_id,
        initial,
        owner=call.account,
        persona_id=body.persona_id,
        at=call.now,  # the answer shows it as it is at that time
    )
    return _shown(call, job, status=201)


def update_outgoing(call: UpstreamCall) -> UpstreamResponse:
    """`PATCH /v1/publishing/posts/{id}`: caption and settings of a draft."""
    body = call.parse_body(UpdateOutgoingBody)
    job, _ = _unpublished(call)
    call.state.add_steps(
        job, [TimelineStep(at_s=0, set=body.model_dump(exclude_none=True) | {"updated_at": NOW})]
    )
    return _shown(call, job)


def publish_outgoing(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/publishing/posts/{id}/publish`: deliveries begin at once."""
    job, post = _unpublished(call)
    job.drop_remaining(call.now)
    _publish(call, job, post, in_s=0.0)
    return _shown(call, job)


def schedule_outgoing(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/publishing/posts/{id}/schedule`: deliveries begin at `scheduled_for`, a wall-clock time."""
    body = call.parse_body(ScheduleBody)
    at = body.scheduled_for.astimezone(UTC)
    if at <= datetime.fromtimestamp(call.now, UTC):
        raise Problem(400, "scheduled_for: must lie ahead", details={"field": "scheduled_for"})
    job, post = _unpublished(call)
    job.drop_remaining(call.now)
    _publish(call, job, post, in_s=(at.timestamp() - call.now) * call.state.speed)
    word = scripts.outgoing_word("scheduled", call.state.switches)
    fields = {"status": word, "scheduled_for": iso(at.timestamp()), "updated_at": NOW}
    call.state.add_steps(job, [TimelineStep(at_s=0, set=fields)])
    return _shown(call, job)


def _unpublished(call: UpstreamCall) -> tuple[SimulatedJob, dict[str, Any]]:
    job, post = find_outgoing(call, call.ids["id"])
    if post["deliveries"]:
        raise Problem(409, "This post is being published already")
    return job, post


def _publish(call: UpstreamCall, job: SimulatedJob, post: dict[str, Any], *, in_s: float) -> None:
    state = call.state
    wanted = post.get("target_account_ids", ())
    if wanted or job.persona_id is None:
        accounts = [account for account in CONNECTED_ACCOUNTS if not wanted or account["id"] in wanted]
    else:
        accounts = find_persona(call, job.persona_id).target_accounts()
    if not accounts:
        raise Problem(400, "The persona has no connected publishing accounts")
    outcome = scripts.outcome_of(job.id, post.get("caption") or "", default=state.switches.start_outcome)
    parts = generation.delivery_parts(state, accounts, outcome)
    state.add_steps(job, scripts.publish_steps(parts, at_s=in_s, switches=state.switches))


def list_accounts(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/publishing/accounts`."""
    return respond_page(call, CONNECTED_ACCOUNTS, encode)


def list_targets(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/personas/{id}/publishing-targets`."""
    return respond_page(call, find_persona(call, call.ids["id"]).target_accounts(), encode)


class TargetBody(BaseModel):
    """`POST /v1/personas/{id}/publishing-targets`."""

    connected_account_id: str


def add_target(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/personas/{id}/publishing-targets`: link a connected account to a persona."""
    body, persona = call.parse_body(TargetBody), find_persona(call, call.ids["id"])
    if all(account["id"] != body.connected_account_id for account in CONNECTED_ACCOUNTS):
        raise Problem(404, "Connected account not found")
    if body.connected_account_id in persona.targets:
        raise Problem(409, "This account is linked already")
    persona.targets.append(body.connected_account_id)
    linked = {"persona_id": persona.id, "connected_account_id": body.connected_account_id}
    return respond(linked, call.state.switches.envelope_other, status=201)

"""ReelMirror's review queue and deletions (guides "Review queue", "Generation")."""

from typing import Any

from pydantic import BaseModel

from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import SimulatedJob
from bridge.simulator.jobs.timeline import TimelineStep
from bridge.simulator.reelmirror import generation
from bridge.simulator.reelmirror.reads import find_item, find_persona, find_post
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import UpstreamCall, UpstreamResponse, respond
from bridge.simulator.state.personas import Persona


class ToggleBody(BaseModel):
    """`POST /v1/generate/toggle-public`."""

    generated_media_item_id: str
    is_public: bool


def _reviewable(call: UpstreamCall) -> tuple[SimulatedJob, dict[str, Any]]:
    job, post = find_post(call, call.ids["id"])
    if post["review_status"] != "pending_review":
        raise Problem(409, f"This post is {post['review_status']} already")
    return job, post


def _finished(call: UpstreamCall) -> tuple[SimulatedJob, dict[str, Any], Persona]:
    job, post = _reviewable(call)
    if post["status"] != "completed":
        raise Problem(400, "Only a completed post can be reviewed")
    persona_id = job.persona_id
    if persona_id is None:
        raise Problem(400, "The persona has no connected publishing accounts")
    return job, post, find_persona(call, persona_id)


def _made(post: dict[str, Any]) -> list[str]:
    return [item["id"] for item in post["media_items"] or () if item["status"] == "completed"]


def approve(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generated-posts/{id}/approve`: publish to every connected account at once."""
    job, post, persona = _finished(call)
    if not persona.target_accounts():
        raise Problem(400, "The persona has no connected publishing accounts")
    state = call.state
    outcome = scripts.outcome_of(job.id, persona.id, default=state.switches.start_outcome)
    parts = generation.delivery_parts(state, persona.target_accounts(), outcome)
    outgoing = generation.begin_outgoing(
        state, persona, account=call.account, item_ids=_made(post), caption=post.get("caption"), parts=parts
    )
    steps = [TimelineStep(at_s=0, set={"review_status": state.switches.approve_review_status})]
    published_s = [part.seconds for part in parts if not part.fails]
    if published_s:
        steps.append(TimelineStep(at_s=min(published_s), set={"review_status": "published"}))
    state.add_steps(job, steps)
    body = {"status": "publishing", "outgoing_post_id": outgoing.id}
    return respond(body, state.switches.envelope_start)


def send_to_compose(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generated-posts/{id}/send-to-compose`: make a draft for editing."""
    job, post, persona = _finished(call)
    outgoing = generation.begin_outgoing(
        call.state, persona, account=call.account, item_ids=_made(post), caption=post.get("caption")
    )
    call.state.add_steps(job, [TimelineStep(at_s=0, set={"review_status": "approved"})])
    return respond({"outgoing_post_id": outgoing.id}, call.state.switches.envelope_start)


def reject_post(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generated-posts/{id}/reject`."""
    job, _ = _reviewable(call)
    call.state.add_steps(job, [TimelineStep(at_s=0, set={"review_status": "rejected"})])
    return respond({"status": "rejected"}, call.state.switches.envelope_start)


def reject_item(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generated-media-items/{id}/reject`: rejecting the last item rejects the post."""
    job, item = find_item(call, call.ids["id"])
    mark = {"review_status": "rejected"}
    whole = False
    if job.kind == "generated_media_item":
        call.state.add_steps(job, [TimelineStep(at_s=0, set=mark)])
    else:
        items = (job.read(call.now) or {})["media_items"] or ()
        whole = all(other is item or other.get("review_status") == "rejected" for other in items)
        call.state.add_steps(
            job, [TimelineStep(at_s=0, members={item["id"]: mark}, set=mark if whole else {})]
        )
    body = {"status": "rejected", "post_auto_rejected": whole}
    return respond(body, call.state.switches.envelope_start)


def toggle_public(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generate/toggle-public`."""
    body = call.parse_body(ToggleBody)
    job, item = find_item(call, body.generated_media_item_id)
    fields = {"is_public": body.is_public}
    alone = job.kind == "generated_media_item"
    step = TimelineStep(at_s=0, set=fields) if alone else TimelineStep(at_s=0, members={item["id"]: fields})
    call.state.add_steps(job, [step])
    return respond({"generated_media_item_id": item["id"]} | fields, call.state.switches.envelope_start)


def delete_post(call: UpstreamCall) -> UpstreamResponse:
    """`DELETE /v1/generated-posts/{id}`: a soft deletion; reads are a 404 from then on."""
    job, _ = find_post(call, call.ids["id"])
    call.state.add_steps(job, [TimelineStep(at_s=0, alive=False)])
    return UpstreamResponse(204, b"")


def delete_item(call: UpstreamCall) -> UpstreamResponse:
    """`DELETE /v1/generated-media-items/{id}`."""
    job, item = find_item(call, call.ids["id"])
    alone = job.kind == "generated_media_item"
    step = (
        TimelineStep(at_s=0, alive=False) if alone else TimelineStep(at_s=0, remove=frozenset([item["id"]]))
    )
    call.state.add_steps(job, [step])
    return UpstreamResponse(204, b"")

"""Control calls for jobs: create, script, change and delete them."""

from collections.abc import Mapping
from typing import Any, get_args

from aiohttp import web

from bridge.simulator.control.bodies import JobBody, PatchKind, StepsBody
from bridge.simulator.control.http import STATE, json_response, read_json, refuse, validate
from bridge.simulator.control.members import Members
from bridge.simulator.jobs.job_store import SimulatedJob
from bridge.simulator.jobs.objects import (
    MEMBERS,
    new_item,
    new_outgoing,
    new_post,
    new_sync_job,
    new_video,
)
from bridge.simulator.jobs.timeline import TimelineStep
from bridge.simulator.state.simulator_state import SimulatorState

_HELD: Mapping[str, str] = {
    "generated_media_item": "generated_post",
    "voice_conversion": "generated_post",
    "publishing_delivery": "outgoing_post",
}


def initial_object(state: SimulatorState, body: JobBody, job_id: str) -> dict[str, Any]:
    """Return a new object of a kind, with the caller's fields merged in."""
    match body.kind:
        case "sync_job":
            made = new_sync_job(job_id, persona_id=body.persona_id, switches=state.switches)
        case "generated_post":
            made = new_post(job_id, persona_id=body.persona_id, source_post_id=None, switches=state.switches)
        case "generated_media_item":
            made = new_item(job_id)
        case "outgoing_post":
            made = new_outgoing(job_id, persona_id=body.persona_id, caption="hello", items=[])
        case "reelbot_video":
            made = new_video()
    return made | body.set


def make_job(state: SimulatorState, body: JobBody) -> SimulatedJob:
    """Create and start the job that a control call describes."""
    short = body.kind == "reelbot_video"
    job_id = body.id or (state.dice.project_id() if short else state.dice.uuid())
    initial = initial_object(state, body, job_id)
    members = Members(kind=body.kind, job_id=job_id)
    name = MEMBERS.get(body.kind)
    if name is not None:
        listed = body.items if name == "media_items" else body.deliveries
        initial = members.in_fields(initial if listed is None else initial | {name: listed})
    if body.persona_id is not None and body.persona_id not in state.personas:
        state.add_persona(body.persona_id)
    return state.start_job(
        body.kind,
        job_id,
        initial,
        [step.step(members) for step in body.script],
        owner=body.owner,
        persona_id=body.persona_id,
        first_read=body.start == "first_read",
    )


def find_target(state: SimulatorState, kind: str, job_id: str) -> tuple[SimulatedJob, bool]:
    """Return the job that a control call means, and whether it means a part inside that job; raise a 404."""
    holder = state.jobs.find_holder(job_id) if kind in _HELD else None
    if holder is not None and holder.kind == _HELD[kind]:
        return holder, True
    job = state.jobs.find("generated_media_item" if kind == "voice_conversion" else kind, job_id)
    if job is None:
        raise refuse(404, f"there is no {kind} {job_id}")
    return job, False


def change_target(state: SimulatorState, kind: str, job_id: str, fields: Mapping[str, Any]) -> None:
    """Merge fields into a job, or into a part of one, at once."""
    job, inside = find_target(state, kind, job_id)
    if inside:
        step = TimelineStep(at_s=0, members={job_id: fields})
    else:
        step = TimelineStep(at_s=0, set=Members(kind=job.kind, job_id=job.id).in_fields(fields))
    state.add_steps(job, [step])


async def create(request: web.Request) -> web.Response:
    """`POST /_sim/jobs`: create one job, or many with `{"jobs": [...]}`."""
    state, body = request.app[STATE], await read_json(request)
    if isinstance(body, dict) and "jobs" in body:
        wanted = [validate(JobBody, one) for one in body["jobs"]]
        return json_response({"ids": [make_job(state, one).id for one in wanted]}, status=201)
    job = make_job(state, validate(JobBody, body))
    return json_response({"id": job.id, "kind": job.kind}, status=201)


async def peek(request: web.Request) -> web.Response:
    """`GET /_sim/jobs/{kind}/{id}`: the object as it is now; starts no job and is not in the journal."""
    state, job_id = request.app[STATE], request.match_info["id"]
    job, inside = find_target(state, _kind(request), job_id)
    seen = job.peek(state.clock())
    if inside and seen is not None:
        parts = [part for part in seen[MEMBERS[job.kind]] if part["id"] == job_id]
        seen = parts[0] if parts else None
    return json_response({"id": job_id, "exists": seen is not None, "object": seen})


async def patch(request: web.Request) -> web.Response:
    """`PATCH /_sim/jobs/{kind}/{id}`: merge fields now; `?script=drop` also drops the steps that are still to come."""
    state, job_id, kind = request.app[STATE], request.match_info["id"], _kind(request)
    body = await read_json(request)
    if not isinstance(body, dict):
        raise refuse(400, "the body must be an object of fields")
    if request.query.get("script") == "drop":
        find_target(state, kind, job_id)[0].drop_remaining(state.clock())
    change_target(state, kind, job_id, body)
    return json_response({"id": job_id})


async def delete(request: web.Request) -> web.Response:
    """`DELETE /_sim/jobs/{kind}/{id}`: a read is a 404 from now on."""
    state, job_id = request.app[STATE], request.match_info["id"]
    job, inside = find_target(state, _kind(request), job_id)
    step = TimelineStep(at_s=0, remove=frozenset([job_id])) if inside else TimelineStep(at_s=0, alive=False)
    state.add_steps(job, [step])
    return json_response({"id": job_id, "deleted": True})


async def go_on(request: web.Request) -> web.Response:
    """`POST /_sim/jobs/{kind}/{id}/steps`: add steps; they may reopen a job that has ended."""
    state, job_id = request.app[STATE], request.match_info["id"]
    body = validate(StepsBody, await read_json(request))
    job, inside = find_target(state, _kind(request), job_id)
    if inside:
        raise refuse(400, f"script the {job.kind} {job.id} that holds this part")
    if body.drop_rest:
        job.drop_remaining(state.clock())
    members = Members(kind=job.kind, job_id=f"{job.id}-{len(job.timeline.steps)}")
    state.add_steps(job, [step.step(members) for step in body.script])
    return json_response({"id": job_id})


async def clear(request: web.Request) -> web.Response:
    """`DELETE /_sim/jobs`: forget all jobs."""
    request.app[STATE].jobs.clear()
    return json_response({"deleted": True})


def _kind(request: web.Request) -> str:
    kind = request.match_info["kind"]
    if kind not in get_args(PatchKind):
        raise refuse(404, f"there is no kind {kind}")
    return kind

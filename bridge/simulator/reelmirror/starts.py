"""ReelMirror's calls that start work on content (guide "Generation")."""

from collections.abc import Iterable

from pydantic import BaseModel

from bridge.simulator.behaviour.durations import VOICE
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import SimulatedJob
from bridge.simulator.jobs.scripts import ScriptOutcome
from bridge.simulator.jobs.timeline import TimelineStep
from bridge.simulator.reelmirror import generation
from bridge.simulator.reelmirror.reads import find_item, find_persona, find_post
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import UpstreamCall, UpstreamResponse, respond

_LATE_POST_S = 5.0
_VOICE_CENTS = 5


class GenerateBody(BaseModel):
    """`POST /v1/generate`."""

    source_post_id: str
    persona_id: str


class CloneBody(BaseModel):
    """`POST /v1/clone-url`."""

    url: str
    persona_id: str


class RegenerateBody(BaseModel):
    """`POST /v1/generate/regenerate-post`."""

    generated_post_id: str
    failed_only: bool = False


class ItemBody(BaseModel):
    """`POST /v1/generate/media-item` and `voice-convert`."""

    generated_media_item_id: str


def _started(call: UpstreamCall, fields: dict[str, object], *, status: int = 202) -> UpstreamResponse:
    return respond({"status": "started"} | fields, call.state.switches.envelope_start, status=status)


def _rerun_outcome(call: UpstreamCall) -> ScriptOutcome:
    """Return the outcome of a run after the first, which succeeds unless a switch says otherwise."""
    return call.state.switches.start_outcome


def _run_again(call: UpstreamCall, job: SimulatedJob, steps: Iterable[TimelineStep]) -> None:
    """Add the steps of a run after the first, which may not show at once."""
    later_s = call.state.switches.rerun_shows_after_s
    call.state.add_steps(job, (step.shifted(later_s) for step in steps))


def start_sync(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/personas/{id}/sync`: a job for each source."""
    jobs = generation.begin_syncs(call.state, find_persona(call, call.ids["id"]), account=call.account)
    body = {"job_ids": [job.id for job in jobs], "estimated_cost_cents": generation.SYNC_CENTS * len(jobs)}
    return respond(body, call.state.switches.envelope_start, status=202)


def start_generate(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generate`: a new post each time, even for the same source post."""
    body = call.parse_body(GenerateBody)
    persona = find_persona(call, body.persona_id)
    outcome = scripts.outcome_of(body.source_post_id, default=call.state.switches.start_outcome)
    job, _ = generation.begin_post(
        call.state, persona, account=call.account, source_post_id=body.source_post_id, outcome=outcome
    )
    return _started(call, {"generated_post_id": job.id})


def start_clone(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/clone-url`: the response is not documented; a switch picks its form."""
    body = call.parse_body(CloneBody)
    if not body.url.startswith(("https://", "http://")):
        raise Problem(400, "url: must be a URL", details={"field": "url"})
    state, persona = call.state, find_persona(call, body.persona_id)
    form = state.switches.clone_answer
    job, _ = generation.begin_post(
        state,
        persona,
        account=call.account,
        source_post_id=f"clone:{body.url}",
        outcome=scripts.outcome_of(body.url, default=state.switches.start_outcome),
        at=state.time_after(_LATE_POST_S) if form == "late" else None,
    )
    if form == "id":
        return _started(call, {"id": job.id})
    return _started(call, {"generated_post_id": None if form == "late" else job.id})


def start_regenerate(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generate/regenerate-post`: run the same post again."""
    body = call.parse_body(RegenerateBody)
    job, post = find_post(call, body.generated_post_id)
    if body.failed_only:
        return _retry_failed(call, job, post["media_items"] or [])
    media = [item["media_type"] for item in post["media_items"] or ()] or ["image"]
    outcome = _rerun_outcome(call)
    parts = generation.draw_parts(call.state, media, outcome, discount=False)
    generation.charge_items(call.state, call.account, job.id, parts, at=call.now)
    old_ids = frozenset(str(item["id"]) for item in post["media_items"] or ())
    job.drop_remaining(call.now)
    _run_again(call, job, scripts.regenerate_steps(parts, old_ids, call.state.switches))
    return _started(call, {"generated_post_id": job.id, "total_cost_cents": generation.cost_cents(parts)})


def _retry_failed(call: UpstreamCall, job: SimulatedJob, items: list[dict[str, object]]) -> UpstreamResponse:
    failed = [item for item in items if item["status"] == "failed"]
    if not failed:
        raise Problem(422, "This post has no failed items")
    state = call.state
    parts = generation.plan_retries(state, failed, _rerun_outcome(call), same_ids=False)
    generation.charge_items(state, call.account, job.id, parts, at=call.now)
    gone = frozenset() if state.switches.keep_failed_items else frozenset(str(item["id"]) for item in failed)
    _run_again(call, job, scripts.retry_steps(parts, gone, state.switches))
    retried = [
        {
            "original_item_id": item["id"],
            "new_item_id": part.id,
            "media_type": item["media_type"],
            "status": "pending",
        }
        for item, part in zip(failed, parts, strict=True)
    ]
    cents = generation.cost_cents(parts)
    return _started(call, {"generated_post_id": job.id, "retried_items": retried, "total_cost_cents": cents})


def start_media_item(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generate/media-item`: a new version of one item, under its id or a new one."""
    body = call.parse_body(ItemBody)
    job, item = find_item(call, body.generated_media_item_id)
    state, alone = call.state, job.kind == "generated_media_item"
    same = state.switches.regenerated_item_id == "same" or alone
    part = generation.plan_retries(state, [item], _rerun_outcome(call), same_ids=same)[0]
    post_id = None if alone else job.id
    generation.charge_items(state, call.account, post_id, [part], at=call.now)
    if alone:
        fresh = TimelineStep(at_s=0, set=part.fields)
        steps = scripts.item_steps(part, begins_s=1.0, switches=state.switches, alone=True)
        _run_again(call, job, (fresh, *steps))
    else:
        _run_again(call, job, scripts.retry_steps([part], frozenset([str(item["id"])]), state.switches))
    return _started(call, {"generated_media_item_id": part.id})


def start_voice_convert(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/generate/voice-convert`: convert a completed video of a persona with a voice sample."""
    body = call.parse_body(ItemBody)
    job, item = find_item(call, body.generated_media_item_id)
    state = call.state
    if item["media_type"] != "video" or item["status"] != "completed":
        raise Problem(400, "Voice conversion needs a completed video")
    persona = None if job.persona_id is None else state.persona(job.persona_id)
    if persona is not None and not persona.fields.get("voice_sample_url"):
        raise Problem(400, "The persona has no voice sample")
    generation.charge(state, call.account, _VOICE_CENTS, "voice_conversion", at=call.now, item_id=item["id"])
    outcome = scripts.outcome_of(str(item["id"]), default=_rerun_outcome(call))
    steps = scripts.voice_steps(
        str(item["id"]),
        seconds=state.dice.seconds(VOICE),
        fails=outcome == "failed",
        switches=state.switches,
        alone=job.kind == "generated_media_item",
    )
    _run_again(call, job, steps)
    return _started(call, {"generated_media_item_id": item["id"]})

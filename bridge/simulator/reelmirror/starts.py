"""ReelMirror's calls that start work on content (guide "Generation")."""

from pydantic import BaseModel

from bridge.simulator.behaviour.durations import VOICE
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import Job
from bridge.simulator.jobs.scripts import Outcome
from bridge.simulator.jobs.timeline import Step
from bridge.simulator.reelmirror import generation
from bridge.simulator.reelmirror.reads import find_item, find_persona, find_post
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import Answer, UpstreamCall, answer

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


def _started(call: UpstreamCall, fields: dict[str, object], *, status: int = 202) -> Answer:
    return answer({"status": "started"} | fields, call.world.switches.envelope_start, status=status)


def _rerun_outcome(call: UpstreamCall) -> Outcome:
    """Runs after the first succeed unless a switch says otherwise: what once failed can be repaired."""
    return call.world.switches.start_outcome


def start_sync(call: UpstreamCall) -> Answer:
    """`POST /v1/personas/{id}/sync`: a job for each source."""
    jobs = generation.begin_syncs(call.world, find_persona(call, call.ids["id"]), account=call.account)
    body = {"job_ids": [job.id for job in jobs], "estimated_cost_cents": generation.SYNC_CENTS * len(jobs)}
    return answer(body, call.world.switches.envelope_start, status=202)


def start_generate(call: UpstreamCall) -> Answer:
    """`POST /v1/generate`: a new post each time, also for the same source post."""
    body = call.parsed(GenerateBody)
    persona = find_persona(call, body.persona_id)
    outcome = scripts.outcome_of(body.source_post_id, default=call.world.switches.start_outcome)
    job, _ = generation.begin_post(
        call.world, persona, account=call.account, source_post_id=body.source_post_id, outcome=outcome
    )
    return _started(call, {"generated_post_id": job.id})


def start_clone(call: UpstreamCall) -> Answer:
    """`POST /v1/clone-url`: the answer is not shown; a switch picks its form."""
    body = call.parsed(CloneBody)
    if not body.url.startswith(("https://", "http://")):
        raise Problem(400, "url: must be a URL", details={"field": "url"})
    world, persona = call.world, find_persona(call, body.persona_id)
    form = world.switches.clone_answer
    job, _ = generation.begin_post(
        world,
        persona,
        account=call.account,
        source_post_id=f"clone:{body.url}",
        outcome=scripts.outcome_of(body.url, default=world.switches.start_outcome),
        at=world.later(_LATE_POST_S) if form == "late" else None,
    )
    if form == "id":
        return _started(call, {"id": job.id})
    return _started(call, {"generated_post_id": None if form == "late" else job.id})


def start_regenerate(call: UpstreamCall) -> Answer:
    """`POST /v1/generate/regenerate-post`: the same post lives again."""
    body = call.parsed(RegenerateBody)
    job, post = find_post(call, body.generated_post_id)
    if body.failed_only:
        return _retry_failed(call, job, post["media_items"])
    media = [item["media_type"] for item in post["media_items"]] or ["image"]
    outcome = _rerun_outcome(call)
    parts = generation.new_parts(call.world, media, outcome, discount=False)
    generation.charge_items(call.world, call.account, job.id, parts, at=call.now)
    old_ids = frozenset(str(item["id"]) for item in post["media_items"])
    job.cut(call.now)
    call.world.change(job, scripts.regenerate_steps(parts, old_ids, call.world.switches))
    return _started(call, {"generated_post_id": job.id, "total_cost_cents": generation.cost_cents(parts)})


def _retry_failed(call: UpstreamCall, job: Job, items: list[dict[str, object]]) -> Answer:
    failed = [item for item in items if item["status"] == "failed"]
    if not failed:
        raise Problem(422, "This post has no failed items")
    world = call.world
    parts = generation.again(world, failed, _rerun_outcome(call), same_ids=False)
    generation.charge_items(world, call.account, job.id, parts, at=call.now)
    gone = frozenset() if world.switches.keep_failed_items else frozenset(str(item["id"]) for item in failed)
    world.change(job, scripts.retry_steps(parts, gone, world.switches))
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


def start_media_item(call: UpstreamCall) -> Answer:
    """`POST /v1/generate/media-item`: a new version of one item, under its id or a new one."""
    body = call.parsed(ItemBody)
    job, item = find_item(call, body.generated_media_item_id)
    world, alone = call.world, job.kind == "generated_media_item"
    same = world.switches.regenerated_item_id == "same" or alone
    part = generation.again(world, [item], _rerun_outcome(call), same_ids=same)[0]
    post_id = None if alone else job.id
    generation.charge_items(world, call.account, post_id, [part], at=call.now)
    if alone:
        fresh = Step(at_s=0, set=part.fields)
        world.change(
            job, (fresh, *scripts.item_steps(part, begins_s=1.0, switches=world.switches, alone=True))
        )
    else:
        world.change(job, scripts.retry_steps([part], frozenset([str(item["id"])]), world.switches))
    return _started(call, {"generated_media_item_id": part.id})


def start_voice_convert(call: UpstreamCall) -> Answer:
    """`POST /v1/generate/voice-convert`: a completed video of a persona with a voice sample."""
    body = call.parsed(ItemBody)
    job, item = find_item(call, body.generated_media_item_id)
    world = call.world
    if item["media_type"] != "video" or item["status"] != "completed":
        raise Problem(400, "Voice conversion needs a completed video")
    persona = None if job.persona_id is None else world.persona(job.persona_id)
    if persona is not None and not persona.fields.get("voice_sample_url"):
        raise Problem(400, "The persona has no voice sample")
    generation.charge(world, call.account, _VOICE_CENTS, "voice_conversion", at=call.now, item_id=item["id"])
    outcome = scripts.outcome_of(str(item["id"]), default=_rerun_outcome(call))
    steps = scripts.voice_steps(
        str(item["id"]),
        seconds=world.dice.seconds(VOICE),
        fails=outcome == "failed",
        switches=world.switches,
        alone=job.kind == "generated_media_item",
    )
    world.change(job, steps)
    return _started(call, {"generated_media_item_id": item["id"]})

"""ReelBot: three calls, each with a limit of its own ("Rate Limits", "Check Status", "Download Video")."""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from bridge.simulator.behaviour.durations import REELBOT_PROCESSING, REELBOT_QUEUED
from bridge.simulator.behaviour.rate_windows import RateDecision
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import SimulatedJob
from bridge.simulator.jobs.objects import new_video
from bridge.simulator.jobs.timeline import iso
from bridge.simulator.requests.errors import Problem, not_found, reelbot_error
from bridge.simulator.requests.rate_headers import format_reset, format_retry_after
from bridge.simulator.requests.upstream_call import (
    Upstream,
    UpstreamCall,
    UpstreamResponse,
    UpstreamRoute,
    respond,
)
from bridge.simulator.state.api_keys import looks_like_reelbot
from bridge.simulator.state.demo_jobs import find_or_start_demo
from bridge.simulator.state.simulator_state import SimulatorState

PREFIX = "/reelbot/api/v1"
_KIND = "reelbot_video"
_LINK_S = 3600.0
_STRICT_ID = re.compile(r"[a-z0-9]{12}")
_LOOSE_ID = re.compile(r"[a-z0-9_-]{1,64}")


class GenerateVideo(BaseModel):
    """`POST /v1/video/generate`, page "Generate Video"."""

    videoType: Literal["narrated", "cinematic"]  # noqa: N815  # the wire's name
    topic: str = Field(min_length=1, max_length=500)
    brollKeys: list[str] = Field(min_length=1, max_length=20)  # noqa: N815  # the wire's name
    script: str | None = Field(default=None, max_length=5000)
    voiceId: str | None = None  # noqa: N815  # the wire's name
    voiceoverKey: str | None = None  # noqa: N815  # the wire's name

    @model_validator(mode="after")
    def narration_needs_words_and_a_voice(self) -> "GenerateVideo":
        """Require a script and a voice for a narrated video."""
        if self.videoType == "narrated" and not self.script:
            raise ValueError("script is required for a narrated video")
        if self.videoType == "narrated" and not (self.voiceId or self.voiceoverKey):
            raise ValueError("voiceId or voiceoverKey is required for a narrated video")
        return self


def generate(call: UpstreamCall) -> UpstreamResponse:
    """Start a render; 402 when the month's completed videos have used up the quota."""
    try:
        json.loads(call.body or b"null")
    except ValueError as failure:
        raise Problem(400, "The body is not JSON", code="INVALID_JSON") from failure
    body, state = call.parse_body(GenerateVideo), call.state
    if _completed(call) >= state.switches.reelbot_quota:
        raise Problem(402, "The monthly video quota is used up")
    outcome = scripts.outcome_of(body.topic, default=state.switches.start_outcome)
    steps = scripts.video_steps(
        queued_s=state.dice.seconds(REELBOT_QUEUED),
        processing_s=state.dice.seconds(REELBOT_PROCESSING),
        fails=outcome == "failed",
        switches=state.switches,
    )
    job = state.start_job(_KIND, state.dice.project_id(), new_video(), steps, owner=call.account)
    fields: dict[str, Any] = {"projectId": job.id, "status": "queued", "message": "Video is queued"}
    status = state.switches.reelbot_generate_status
    if state.switches.reelbot_generate_envelope == "data":
        return respond({"success": True, "data": fields}, status=status)
    return respond({"success": True} | fields, status=status)


def _completed(call: UpstreamCall) -> int:
    jobs = call.state.jobs.list_jobs(_KIND, None, call.now, account=call.account)
    return sum((job.peek(call.now) or {}).get("status") == "completed" for job in jobs)


def read_status(call: UpstreamCall) -> UpstreamResponse:
    """Return a project's status: a flat object without an id and without `success`."""
    job = _project(call)
    body = job.body(call.now)
    if body is None:
        raise not_found("Project")
    return UpstreamResponse(200, body)


def download(call: UpstreamCall) -> UpstreamResponse:
    """Return a new link, valid for an hour."""
    job = _project(call)
    video = job.read(call.now)
    if video is None:
        raise not_found("Project")
    if video["status"] != "completed":
        raise Problem(400, "The video is not ready", code="VIDEO_NOT_READY")
    if "outputKey" not in video:
        raise Problem(404, "The output is missing", code="OUTPUT_NOT_FOUND")
    url = f"https://bucket.reelbot.example/{video['outputKey']}?sig={call.state.dice.uuid()}"
    expires_at = iso(call.now + _LINK_S)
    return respond({"success": True, "downloadUrl": url, "expiresAt": expires_at})


def _project(call: UpstreamCall) -> SimulatedJob:
    project_id = call.ids["id"]
    job = call.visible_or_none(find_or_start_demo(call.state, _KIND, project_id))
    if job is not None:
        return job
    form = _STRICT_ID if call.state.switches.reelbot_strict_ids else _LOOSE_ID
    if form.fullmatch(project_id) is None:
        raise Problem(400, "This is no project id", code="INVALID_PROJECT_ID")
    raise not_found("Project")


def _rate_limit(state: SimulatorState, _key: str, bucket: str) -> tuple[int, float] | None:
    switches = state.switches
    return {
        "generate": (switches.reelbot_generate_per_hour, 3600.0),
        "status": (switches.reelbot_status_per_minute, 60.0),
        "download": (switches.reelbot_download_per_hour, 3600.0),
    }.get(bucket)


def _rate_headers(state: SimulatorState, decision: RateDecision, now: float) -> dict[str, str]:
    headers = {
        "X-RateLimit-Remaining": str(decision.remaining),
        "X-RateLimit-Reset": format_reset(decision.resets_at, state.switches.reelbot_rate_reset),
    }
    if not decision.allowed and state.switches.reelbot_retry_after:
        headers["Retry-After"] = format_retry_after(decision, now)
    return headers


def _rate_limited(decision: RateDecision) -> Problem:
    return Problem(429, "Rate limit exceeded", details={"resetAt": format_reset(decision.resets_at, "iso")})


def _unauthorized() -> Problem:
    return Problem(401, "Unauthorized. Send a valid API key in the X-API-Key header.")


def _read_key(headers: Mapping[str, str]) -> str:
    return headers.get("X-API-Key", "")


REELBOT = Upstream(
    name="reelbot",
    prefix="/reelbot",
    routes=(
        UpstreamRoute(
            method="POST",
            path=PREFIX + "/video/generate",
            handler=generate,
            kind="reelbot_generate",
            bucket="generate",
        ),
        UpstreamRoute(
            method="GET", path=PREFIX + "/video/status/{id}", handler=read_status, kind=_KIND, bucket="status"
        ),
        UpstreamRoute(
            method="GET",
            path=PREFIX + "/video/download/{id}",
            handler=download,
            kind="reelbot_download",
            bucket="download",
        ),
    ),
    read_key=_read_key,
    is_well_formed_key=looks_like_reelbot,
    rate_limit=_rate_limit,
    rate_headers=_rate_headers,
    rate_limited=_rate_limited,
    unauthorized=_unauthorized,
    write_error=reelbot_error,
)

"""ReelBot: three calls, each with a limit of its own ("Rate Limits", "Check Status", "Download Video")."""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from bridge.simulator.behaviour.durations import REELBOT_PROCESSING, REELBOT_QUEUED
from bridge.simulator.behaviour.rate_windows import Verdict
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import Job
from bridge.simulator.jobs.objects import new_video
from bridge.simulator.jobs.timeline import iso
from bridge.simulator.reelmirror.upstream import reset_value, retry_after
from bridge.simulator.requests.errors import Problem, not_found, reelbot_error
from bridge.simulator.requests.upstream_call import Answer, Route, Upstream, UpstreamCall, answer
from bridge.simulator.state.api_keys import looks_like_reelbot
from bridge.simulator.state.demo_jobs import find_or_demo
from bridge.simulator.state.simulator_state import World

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
        """Require what a narrated video is made of."""
        if self.videoType == "narrated" and not self.script:
            raise ValueError("script is required for a narrated video")
        if self.videoType == "narrated" and not (self.voiceId or self.voiceoverKey):
            raise ValueError("voiceId or voiceoverKey is required for a narrated video")
        return self


def generate(call: UpstreamCall) -> Answer:
    """Start a render; 402 when the month's completed videos have used up the quota."""
    try:
        json.loads(call.body or b"null")
    except ValueError as failure:
        raise Problem(400, "The body is not JSON", code="INVALID_JSON") from failure
    body, world = call.parsed(GenerateVideo), call.world
    if _completed(call) >= world.switches.reelbot_quota:
        raise Problem(402, "The monthly video quota is used up")
    outcome = scripts.outcome_of(body.topic, default=world.switches.start_outcome)
    steps = scripts.video_steps(
        queued_s=world.dice.seconds(REELBOT_QUEUED),
        processing_s=world.dice.seconds(REELBOT_PROCESSING),
        fails=outcome == "failed",
        switches=world.switches,
    )
    job = world.start(_KIND, world.dice.project_id(), new_video(), steps, owner=call.account)
    fields: dict[str, Any] = {"projectId": job.id, "status": "queued", "message": "Video is queued"}
    status = world.switches.reelbot_generate_status
    if world.switches.reelbot_generate_envelope == "data":
        return answer({"success": True, "data": fields}, status=status)
    return answer({"success": True} | fields, status=status)


def _completed(call: UpstreamCall) -> int:
    jobs = call.world.shelf.listed(_KIND, None, call.now, account=call.account)
    return sum((job.peek(call.now) or {}).get("status") == "completed" for job in jobs)


def read_status(call: UpstreamCall) -> Answer:
    """Tell a project's state: flat, without an id, without `success`."""
    job = _project(call)
    body = job.body(call.now)
    if body is None:
        raise not_found("Project")
    return Answer(200, body)


def download(call: UpstreamCall) -> Answer:
    """Give a new link, good for an hour."""
    job = _project(call)
    video = job.read(call.now)
    if video is None:
        raise not_found("Project")
    if video["status"] != "completed":
        raise Problem(400, "The video is not ready", code="VIDEO_NOT_READY")
    if "outputKey" not in video:
        raise Problem(404, "The output is missing", code="OUTPUT_NOT_FOUND")
    url = f"https://bucket.reelbot.example/{video['outputKey']}?sig={call.world.dice.uuid()}"
    expires_at = iso(call.now + _LINK_S)
    return answer({"success": True, "downloadUrl": url, "expiresAt": expires_at})


def _project(call: UpstreamCall) -> Job:
    project_id = call.ids["id"]
    job = call.visible(find_or_demo(call.world, _KIND, project_id))
    if job is not None:
        return job
    form = _STRICT_ID if call.world.switches.reelbot_strict_ids else _LOOSE_ID
    if form.fullmatch(project_id) is None:
        raise Problem(400, "This is no project id", code="INVALID_PROJECT_ID")
    raise not_found("Project")


def _allowance(world: World, _key: str, bucket: str) -> tuple[int, float] | None:
    switches = world.switches
    return {
        "generate": (switches.reelbot_generate_per_hour, 3600.0),
        "status": (switches.reelbot_status_per_minute, 60.0),
        "download": (switches.reelbot_download_per_hour, 3600.0),
    }.get(bucket)


def _rate_headers(world: World, verdict: Verdict, now: float) -> dict[str, str]:
    headers = {
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": reset_value(verdict.resets_at, world.switches.reelbot_rate_reset),
    }
    if not verdict.allowed and world.switches.reelbot_retry_after:
        headers["Retry-After"] = retry_after(verdict, now)
    return headers


def _limited(verdict: Verdict) -> Problem:
    return Problem(429, "Rate limit exceeded", details={"resetAt": reset_value(verdict.resets_at, "iso")})


def _unauthorized() -> Problem:
    return Problem(401, "Unauthorized. Send a valid API key in the X-API-Key header.")


def _read_key(headers: Mapping[str, str]) -> str:
    return headers.get("X-API-Key", "")


REELBOT = Upstream(
    name="reelbot",
    prefix="/reelbot",
    routes=(
        Route(
            method="POST",
            path=PREFIX + "/video/generate",
            handler=generate,
            kind="reelbot_generate",
            bucket="generate",
        ),
        Route(
            method="GET", path=PREFIX + "/video/status/{id}", handler=read_status, kind=_KIND, bucket="status"
        ),
        Route(
            method="GET",
            path=PREFIX + "/video/download/{id}",
            handler=download,
            kind="reelbot_download",
            bucket="download",
        ),
    ),
    read_key=_read_key,
    has_form=looks_like_reelbot,
    allowance=_allowance,
    rate_headers=_rate_headers,
    limited=_limited,
    unauthorized=_unauthorized,
    write_error=reelbot_error,
)

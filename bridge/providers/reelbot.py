"""ReelBot, as data. Sources: its help pages Check Status, Download Video, Rate Limits, Error Handling, Authentication."""

import re
from types import MappingProxyType
from typing import Any

from bridge.domain.events.catalogue import KindSample
from bridge.domain.events.fields import STATUS, Field, Role, time_fields
from bridge.domain.observation import Outcome, Timing
from bridge.domain.polling.rate_limit import Limit
from bridge.providers.provider_spec import CredentialForm, ProviderSpec, index_kinds
from bridge.providers.rules import observe_status
from bridge.providers.spec import DownloadSpec, ErrorShape, KindSpec, RequestNames
from bridge.providers.start_spec import StartSpec

_SAMPLE_ID = "k7m2p9x4q1zd"
_SAMPLE_REASON = "the b-roll could not be downloaded"


def _build_sample(state: str) -> dict[str, Any]:
    by_state = {
        "completed": {"outputKey": f"users/u1/output/{_SAMPLE_ID}.mp4"},
        "failed": {"error": _SAMPLE_REASON},
    }
    return {
        "id": _SAMPLE_ID,
        "status": state,
        "message": f"Video {state}",
        "createdAt": "2026-11-21T10:32:00.000Z",
        "updatedAt": "2026-11-21T10:34:05.000Z",
        **by_state.get(state, {}),
    }


REELBOT_VIDEO = KindSpec(
    name="reelbot_video",
    provider="reelbot",
    noun="ReelBot video",
    path="/v1/video/status/{id}",
    limit="status",  # "Rate Limits": each endpoint has its own
    # Check Status, "Polling Strategy": every 5 s, 120 tries.
    timing=Timing(interval_s=5, timeout_s=600),
    # Queued for up to 30 s, then 1 to 5 minutes.
    expected_s=(60, 330),
    endings={
        "completed": (Outcome.SUCCEEDED, "The video is rendered and can be downloaded."),
        "failed": (Outcome.FAILED, "The rendering failed; `error.message` is the provider's reason."),
    },
    progress={"processing": "The video is being rendered."},
    ends={"completed": "completed", "failed": "failed"},
    runs={"queued": None, "processing": "processing"},
    # The body is flat and names no id; should it ever, these are the names that `generate` uses.
    id_fields=("projectId", "project_id", "id"),
    error_fields=("error",),
    # OUTPUT_NOT_FOUND speaks of a finished video's file, not of the project.
    errors=ErrorShape(code=("code",), message=("message",), not_missing=frozenset({"OUTPUT_NOT_FOUND"})),
    observe=observe_status,
    data_fields=(
        Field(name="id", note="The `projectId`, which ReelBot's own answer leaves out."),
        STATUS,
        Field(name="message", note="For people."),
        *time_fields("createdAt", "updatedAt"),
        Field(name="outputKey", note="The file's key in ReelBot's storage, once completed."),
        Field(name="error", note="ReelBot's reason, once it failed.", role=Role.ERROR),
    ),
    sample=KindSample(
        id=_SAMPLE_ID, build=_build_sample, running="processing", messages={"failed": _SAMPLE_REASON}
    ),
    names=RequestNames(fields=("projectId", "project_id")),
    # Download Video: a link that lasts an hour. Rate Limits: 30 an hour.
    download=DownloadSpec(
        path="/v1/video/download/{id}",
        limit=Limit(name="download", requests=30, window_s=3600),
        link_field="downloadUrl",
        not_ready="VIDEO_NOT_READY",
        missing="OUTPUT_NOT_FOUND",
    ),
)

REELBOT = ProviderSpec(
    name="reelbot",
    title="ReelBot",
    base_url="https://reelbot.space/api",
    kinds=index_kinds(REELBOT_VIDEO),
    # Rate Limits: 60 status reads a minute; one key an account, so the key is the budget.
    credentials=(
        CredentialForm(
            name="API key",
            pattern=re.compile(r"\Arb_live_[A-Za-z0-9._~-]{1,200}\Z", re.ASCII),
            requests_per_minute=60,
            prefixes=("rb_live_", "rb_test_"),
        ),
    ),
    auth_header="X-API-Key",
    auth_prefix="",
    check_kind=REELBOT_VIDEO,
    # Of the documented form (12 lower-case letters and digits): a malformed id would answer 400, not 404.
    check_id="000000000000",
    # Generate Video; its answer is documented with one of the two names, here or in `data`.
    starts=(
        StartSpec(
            name="generate_video",
            path="/v1/video/generate",
            kind="reelbot_video",
            answer_fields=("projectId", "project_id"),
        ),
    ),
    # Error Handling: every error has it.
    error_fields=MappingProxyType({"success": False}),
)

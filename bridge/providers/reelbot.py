"""ReelBot, as data. Sources: its help pages Check Status, Download Video, Rate Limits, Error Handling, Authentication."""

import re
from types import MappingProxyType

from bridge.domain.observation import Outcome, Timing
from bridge.providers.rules import observe_status
from bridge.providers.spec import CredentialForm, ErrorShape, KindSpec, ProviderSpec, endings

REELBOT_VIDEO = KindSpec(
    name="reelbot_video",
    provider="reelbot",
    path="/v1/video/status/{id}",
    limit="status",  # "Rate Limits": each endpoint has its own
    # Check Status, "Polling Strategy": every 5 s, 120 tries.
    timing=Timing(interval_s=5, timeout_s=600),
    # Queued for up to 30 s, then 1 to 5 minutes.
    expected_s=(60, 330),
    ending_words=endings(completed=Outcome.SUCCEEDED, failed=Outcome.FAILED),
    progress_words=("processing",),
    ends={"completed": "completed", "failed": "failed"},
    runs={"queued": None, "processing": "processing"},
    # The body is flat and names no id; should it ever, these are the names that `generate` uses.
    id_fields=("projectId", "project_id", "id"),
    error_fields=("error",),
    # OUTPUT_NOT_FOUND speaks of a finished video's file, not of the project.
    errors=ErrorShape(code=("code",), message=("message",), not_missing=frozenset({"OUTPUT_NOT_FOUND"})),
    observe=observe_status,
    download_path="/v1/video/download/{id}",
)

REELBOT = ProviderSpec(
    name="reelbot",
    title="ReelBot",
    base_url="https://reelbot.space/api",
    kinds=MappingProxyType({REELBOT_VIDEO.name: REELBOT_VIDEO}),
    # Rate Limits: 60 status reads a minute; one key an account, so the key is the budget.
    credentials=(
        CredentialForm(
            name="API key",
            pattern=re.compile(r"\Arb_live_[A-Za-z0-9._~-]{1,200}\Z", re.ASCII),
            requests_per_minute=60,
        ),
    ),
    auth_header="X-API-Key",
    auth_prefix="",
    check_kind=REELBOT_VIDEO,
    # Of the documented form (12 lower-case letters and digits): a malformed id would answer 400, not 404.
    check_id="000000000000",
)

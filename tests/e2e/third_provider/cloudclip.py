"""CloudClip, a provider that does not exist, as data: what a contributor would write to add one."""

import re
from typing import Any

from bridge.domain.events.catalogue import KindSample
from bridge.domain.events.fields import Field, Role, Shape, text_fields
from bridge.domain.observation import Outcome, Timing
from bridge.providers.provider_spec import CredentialForm, ProviderSpec, index_kinds
from bridge.providers.rules import observe_status
from bridge.providers.spec import ErrorShape, KindSpec, RequestNames


def _build_sample(state: str) -> dict[str, Any]:
    return {
        "id": "clip-1",  # as the data of every event has it
        "renderId": "clip-1",
        "phase": state,
        "fault": "the footage is too dark" if state == "broken" else None,
        "clip": {"href": "https://cloudclip.example/clips/clip-1.mp4"} if state == "finished" else None,
        "seconds": 12,
    }


CLIP_RENDER = KindSpec(
    name="clip_render",
    provider="cloudclip",
    noun="clip render",
    path="/renders/{id}",
    timing=Timing(interval_s=10, timeout_s=600),
    expected_s=(20, 120),
    endings={
        "finished": (Outcome.SUCCEEDED, "The clip is rendered: `data.clip.href` is its file."),
        "broken": (
            Outcome.FAILED,
            "The clip could not be rendered; `error.message` is the provider's reason.",
        ),
    },
    progress={"rendering": "The clip is being rendered."},
    ends={"finished": "finished", "broken": "broken"},
    runs={"waiting": None, "rendering": "rendering"},
    status_field="phase",
    id_fields=("renderId",),
    error_fields=("fault",),
    errors=ErrorShape(code=("problem", "name"), message=("problem", "text")),
    observe=observe_status,
    data_fields=(
        Field(name="id", note="The provider's id of the object."),
        *text_fields("renderId", "phase"),
        Field(name="fault", role=Role.ERROR),
        Field(name="clip", shape=Shape.OBJECT, note="The file, once finished."),
        Field(name="seconds", shape=Shape.NUMBER),
    ),
    sample=KindSample(
        id="clip-1",
        build=_build_sample,
        running="rendering",
        messages={"broken": "the footage is too dark"},
    ),
    names=RequestNames(fields=("renderId",)),
)

CLOUDCLIP = ProviderSpec(
    name="cloudclip",
    title="CloudClip",
    base_url="https://cloudclip.example/api",
    kinds=index_kinds(CLIP_RENDER),
    credentials=(
        CredentialForm(
            name="token",
            pattern=re.compile(r"\Accl-[a-z0-9]{8,64}\Z", re.ASCII),
            requests_per_minute=120,
            prefixes=("ccl-",),
        ),
    ),
    auth_header="X-CloudClip-Token",
    auth_prefix="",
    check_kind=CLIP_RENDER,
    check_id="none",
)

"""ReelMirror, as data. Sources: its Introduction ("Rate limits") and API reference."""

import re

from bridge.providers.provider_spec import CredentialForm, ProviderSpec, ShowcaseJob, index_kinds
from bridge.providers.reelmirror.children import CHILDREN
from bridge.providers.reelmirror.evidence import CHARGES, EVIDENCE
from bridge.providers.reelmirror.kinds import (
    GENERATED_MEDIA_ITEM,
    GENERATED_POST,
    OUTGOING_POST,
    PUBLISHING_DELIVERY,
    SYNC_JOB,
    VOICE_CONVERSION,
)
from bridge.providers.reelmirror.samples import SHOWCASE_RELATED
from bridge.providers.reelmirror.sources import SOURCES
from bridge.providers.reelmirror.starts import STARTS

REELMIRROR = ProviderSpec(
    name="reelmirror",
    title="ReelMirror",
    base_url="https://reelmirror.com/api",
    kinds=index_kinds(
        SYNC_JOB, GENERATED_POST, GENERATED_MEDIA_ITEM, VOICE_CONVERSION, PUBLISHING_DELIVERY, OUTGOING_POST
    ),
    # Introduction, "Rate limits": 60 a minute for a key, 120 for a Supabase token.
    credentials=(
        CredentialForm(
            name="API key",
            pattern=re.compile(r"\Arm_[A-Za-z0-9._~-]{1,200}\Z", re.ASCII),
            requests_per_minute=60,
            prefixes=("rm_",),
        ),
        CredentialForm(
            name="Supabase token",
            pattern=re.compile(r"\A(?=.{20,4096}\Z)eyJ[\w-]*\.[\w-]+\.[\w-]+\Z", re.ASCII),
            requests_per_minute=120,
            is_token=True,
        ),
    ),
    auth_header="Authorization",
    auth_prefix="Bearer ",
    check_kind=SYNC_JOB,
    check_id="00000000-0000-0000-0000-000000000000",
    starts=STARTS,
    admin_paths=("/v1/api-keys", "/v1/billing"),
    keyless_paths=("/v1/auth/",),
    showcase=ShowcaseJob(kind=GENERATED_POST, word="partial", related=SHOWCASE_RELATED),
    start_evidence=EVIDENCE,
    charges=CHARGES,
    children=CHILDREN,
    sources=SOURCES,
)

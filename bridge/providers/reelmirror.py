"""ReelMirror, as data. Sources: its guides Webhooks, Generation, Review queue, Publishing, Bots and its API reference.

The status words of voice conversion and of an outgoing post are documented nowhere; their tables are what such words
are likely to be, and anything else means "still running".
"""

import re
from types import MappingProxyType

from bridge.domain.observation import Outcome, Timing
from bridge.providers.rules import observe_generated_post, observe_outgoing_post, observe_status
from bridge.providers.spec import (
    Clock,
    CredentialForm,
    ErrorShape,
    KindSpec,
    ListSpec,
    ProviderSpec,
    endings,
)
from bridge.providers.voice_words import VOICE_ENDS, VOICE_RUNS

ERRORS = ErrorShape(code=("error", "code"), message=("error", "message"))

# Webhooks guide, table of intervals and timeouts.
IMAGE = Timing(interval_s=10, timeout_s=300)
VIDEO = Timing(interval_s=15, timeout_s=600)
TIMING_BY_MEDIA = MappingProxyType({"image": IMAGE, "video": VIDEO})
EXPECTED_BY_MEDIA = MappingProxyType({"image": (20.0, 90.0), "video": (60.0, 300.0)})

SYNC_JOB = KindSpec(
    name="sync_job",
    provider="reelmirror",
    path="/v1/sync-jobs/{id}",
    list=ListSpec(path="/v1/sync-jobs", documented=False),
    timing=Timing(interval_s=15, timeout_s=600),
    expected_s=(30, 300),
    ending_words=endings(completed=Outcome.SUCCEEDED, failed=Outcome.FAILED, skipped=Outcome.SKIPPED),
    progress_words=("running",),
    ends={"completed": "completed", "failed": "failed", "skipped": "skipped"},
    runs={"pending": None, "running": "running"},
    related_fields=("persona_id", "source_id"),
    persona_field="persona_id",
    errors=ERRORS,
    observe=observe_status,
)

GENERATED_MEDIA_ITEM = KindSpec(
    name="generated_media_item",
    provider="reelmirror",
    path="/v1/generated-media-items/{id}",
    timing=VIDEO,
    timing_by_media=TIMING_BY_MEDIA,
    expected_s=(20, 300),
    expected_by_media=EXPECTED_BY_MEDIA,
    # A replaced item is soft-deleted in favour of its successor (Generation guide, "Regenerate an entire post").
    ending_words=endings(completed=Outcome.SUCCEEDED, failed=Outcome.FAILED, replaced=Outcome.DELETED),
    progress_words=("generating",),
    ends={"completed": "completed", "failed": "failed"},
    runs={"pending": None, "generating": "generating"},
    media_field="media_type",
    related_fields=("generated_post_id", "persona_id"),
    persona_field="persona_id",
    parent_field="generated_post_id",
    errors=ERRORS,
    observe=observe_status,
)

GENERATED_POST = KindSpec(
    name="generated_post",
    provider="reelmirror",
    path="/v1/generated-posts/{id}",
    # Review queue guide, with the paging of the Introduction.
    list=ListSpec(path="/v1/personas/{persona}/generated-posts", documented=True),
    timing=VIDEO,
    timing_by_media=TIMING_BY_MEDIA,
    expected_s=(20, 300),
    expected_by_media=EXPECTED_BY_MEDIA,
    clock=Clock.PARTS,
    ending_words=endings(completed=Outcome.SUCCEEDED, partial=Outcome.PARTIAL, failed=Outcome.FAILED),
    progress_words=("generating",),
    ends={"completed": "completed", "failed": "failed"},
    runs={"pending": None, "generating": "generating"},
    review_field="review_status",
    review_words=("approved", "rejected", "published"),
    quiet_review_words=frozenset({"pending_review"}),
    related_fields=("persona_id", "source_post_id"),
    persona_field="persona_id",
    parts_field="media_items",
    part=GENERATED_MEDIA_ITEM,
    parts_are_replaced=True,
    part_kinds=("generated_media_item", "voice_conversion"),
    errors=ERRORS,
    observe=observe_generated_post,
)

VOICE_CONVERSION = KindSpec(
    name="voice_conversion",
    provider="reelmirror",
    path="/v1/generated-media-items/{id}",
    timing=Timing(interval_s=10, timeout_s=300),
    expected_s=(30, 120),
    ending_words=endings(completed=Outcome.SUCCEEDED, failed=Outcome.FAILED),
    progress_words=("processing",),
    ends=VOICE_ENDS,
    runs=VOICE_RUNS,
    status_field="voice_conversion_status",
    null_status_is_queued=True,
    loose_words=True,
    takes_extra_words=True,
    error_fields=("voice_conversion_error", "voice_conversion_error_message", "error_message"),
    related_fields=("generated_post_id", "persona_id"),
    persona_field="persona_id",
    parent_field="generated_post_id",
    errors=ERRORS,
    observe=observe_status,
)

PUBLISHING_DELIVERY = KindSpec(
    name="publishing_delivery",
    provider="reelmirror",
    path="",
    registrable=False,
    timing=Timing(interval_s=10, timeout_s=180),
    expected_s=(10, 60),
    ending_words=endings(published=Outcome.SUCCEEDED, failed=Outcome.FAILED),
    progress_words=(),
    ends={"published": "published", "failed": "failed"},
    runs={
        "pending": None,
        "queued": None,
        "scheduled": None,
        "processing": "publishing",
        "uploading": "publishing",
        "publishing": "publishing",
        "retrying": "publishing",
    },
    related_fields=("outgoing_post_id", "persona_id", "connected_account_id"),
    persona_field="persona_id",
    parent_field="outgoing_post_id",
    errors=ERRORS,
    observe=observe_status,
)

OUTGOING_POST = KindSpec(
    name="outgoing_post",
    provider="reelmirror",
    path="/v1/publishing/posts/{id}",
    list=ListSpec(path="/v1/publishing/posts", documented=False),
    timing=Timing(interval_s=10, timeout_s=180),
    expected_s=(10, 60),
    clock=Clock.FIRST_PART,
    ending_words=endings(published=Outcome.SUCCEEDED, partial=Outcome.PARTIAL, failed=Outcome.FAILED),
    progress_words=("publishing",),
    # Its own word never ends it (Webhooks guide: check the deliveries). A progress word means that it has begun.
    ends={},
    runs={
        **dict.fromkeys(("draft", "scheduled", "pending", "queued")),
        **dict.fromkeys(
            (
                "publishing",
                "processing",
                "uploading",
                "published",
                "partial",
                "partially_published",
                "completed",
                "failed",
            ),
            "publishing",
        ),
    },
    dormant_words=frozenset({"draft", "scheduled"}),
    related_fields=("persona_id", "generated_post_id"),
    persona_field="persona_id",
    parts_field="deliveries",
    part=PUBLISHING_DELIVERY,
    parts_are_reported=True,
    part_kinds=("publishing_delivery",),
    errors=ERRORS,
    observe=observe_outgoing_post,
)

_KINDS = (
    SYNC_JOB,
    GENERATED_POST,
    GENERATED_MEDIA_ITEM,
    VOICE_CONVERSION,
    OUTGOING_POST,
    PUBLISHING_DELIVERY,
)

REELMIRROR = ProviderSpec(
    name="reelmirror",
    title="ReelMirror",
    base_url="https://reelmirror.com/api",
    kinds=MappingProxyType({kind.name: kind for kind in _KINDS}),
    # Introduction, "Rate limits": 60 a minute for a key, 120 for a Supabase token.
    credentials=(
        CredentialForm(
            name="API key",
            pattern=re.compile(r"\Arm_[A-Za-z0-9._~-]{1,200}\Z", re.ASCII),
            requests_per_minute=60,
        ),
        CredentialForm(
            name="Supabase token",
            pattern=re.compile(r"\A(?=.{20,4096}\Z)eyJ[\w-]*\.[\w-]+\.[\w-]+\Z", re.ASCII),
            requests_per_minute=120,
        ),
    ),
    auth_header="Authorization",
    auth_prefix="Bearer ",
    check_kind=SYNC_JOB,
    check_id="00000000-0000-0000-0000-000000000000",
)

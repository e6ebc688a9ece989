"""ReelMirror's kinds of jobs. Sources: its guides Webhooks, Generation, Review queue, Publishing and Bots, its API reference.

The status words of voice conversion and of an outgoing post are documented nowhere; their tables are what such words
are likely to be, and anything else means "still running".
"""

from types import MappingProxyType

from bridge.domain.observation import Outcome, Timing
from bridge.providers.reelmirror.fields import (
    GENERATED_POST_FIELDS,
    MEDIA_ITEM_FIELDS,
    OUTGOING_POST_FIELDS,
    PUBLISHING_DELIVERY_FIELDS,
    SYNC_JOB_FIELDS,
)
from bridge.providers.reelmirror.samples import (
    GENERATED_POST_SAMPLE,
    MEDIA_ITEM_SAMPLE,
    OUTGOING_POST_SAMPLE,
    PUBLISHING_DELIVERY_SAMPLE,
    SYNC_JOB_SAMPLE,
    VOICE_CONVERSION_SAMPLE,
)
from bridge.providers.reelmirror.voice_words import VOICE_ENDS, VOICE_RUNS
from bridge.providers.rules import observe_generated_post, observe_outgoing_post, observe_status
from bridge.providers.spec import Clock, ErrorShape, KindSpec, ListSpec, RequestNames, RetriedParts

ERRORS = ErrorShape(code=("error", "code"), message=("error", "message"))

# Webhooks guide, table of intervals and timeouts; its back-off pattern and the error table of Bots are those of
# `bridge/domain/jobs/intervals.py`.
IMAGE = Timing(interval_s=10, timeout_s=300)
VIDEO = Timing(interval_s=15, timeout_s=600)
TIMING_BY_MEDIA = MappingProxyType({"image": IMAGE, "video": VIDEO})
EXPECTED_BY_MEDIA = MappingProxyType({"image": (20.0, 90.0), "video": (60.0, 300.0)})

SYNC_JOB = KindSpec(
    name="sync_job",
    provider="reelmirror",
    noun="sync job",
    path="/v1/sync-jobs/{id}",
    list=ListSpec(path="/v1/sync-jobs", documented=False),
    timing=Timing(interval_s=15, timeout_s=600),
    expected_s=(30, 300),
    endings={
        "completed": (Outcome.SUCCEEDED, "The sync is done: new source posts can be read."),
        "failed": (Outcome.FAILED, "The sync failed; `error.message` is the provider's reason."),
        "skipped": (Outcome.SKIPPED, "The sync was skipped: the source was synced less than 15 minutes ago."),
    },
    progress={"running": "The sync has begun."},
    ends={"completed": "completed", "failed": "failed", "skipped": "skipped"},
    runs={"pending": None, "running": "running"},
    related_fields=("persona_id", "source_id"),
    persona_field="persona_id",
    data_fields=SYNC_JOB_FIELDS,
    sample=SYNC_JOB_SAMPLE,
    names=RequestNames(takes_bare_ids=True),
    errors=ERRORS,
    observe=observe_status,
)

GENERATED_MEDIA_ITEM = KindSpec(
    name="generated_media_item",
    provider="reelmirror",
    noun="generated media item",
    path="/v1/generated-media-items/{id}",
    timing=VIDEO,
    timing_by_media=TIMING_BY_MEDIA,
    expected_s=(20, 300),
    expected_by_media=EXPECTED_BY_MEDIA,
    endings={
        "completed": (Outcome.SUCCEEDED, "The media item is done: `data.url` is its file."),
        "failed": (Outcome.FAILED, "The media item failed; `error.message` is the provider's reason."),
        # A replaced item is soft-deleted in favour of its successor (Generation guide, "Regenerate an entire post").
        "replaced": (Outcome.DELETED, "The media item was regenerated: another item took its place."),
    },
    progress={"generating": "The media item is being made."},
    ends={"completed": "completed", "failed": "failed"},
    runs={"pending": None, "generating": "generating"},
    media_field="media_type",
    related_fields=("generated_post_id", "persona_id"),
    persona_field="persona_id",
    parent_field="generated_post_id",
    data_fields=MEDIA_ITEM_FIELDS,
    sample=MEDIA_ITEM_SAMPLE,
    names=RequestNames(fields=("generated_media_item_id",)),
    reruns=True,
    errors=ERRORS,
    observe=observe_status,
)

GENERATED_POST = KindSpec(
    name="generated_post",
    provider="reelmirror",
    noun="generated post",
    path="/v1/generated-posts/{id}",
    # Review queue guide, with the paging of the Introduction.
    list=ListSpec(path="/v1/personas/{persona}/generated-posts", documented=True, personas="/v1/personas"),
    timing=VIDEO,
    timing_by_media=TIMING_BY_MEDIA,
    expected_s=(20, 300),
    expected_by_media=EXPECTED_BY_MEDIA,
    clock=Clock.PARTS,
    endings={
        "completed": (Outcome.SUCCEEDED, "The post and every one of its media items are done."),
        "partial": (Outcome.PARTIAL, "The post has ended, and some but not all of it failed."),
        "failed": (Outcome.FAILED, "The post has ended and nothing of it was made."),
    },
    progress={"generating": "The post's media items are being made."},
    ends={"completed": "completed", "failed": "failed"},
    runs={"pending": None, "generating": "generating"},
    review_field="review_status",
    reviews={
        "approved": "The post was approved in review.",
        "rejected": "The post was rejected in review.",
        "published": "The post was published on at least one account.",
    },
    quiet_review_words=frozenset({"pending_review"}),
    related_fields=("persona_id", "source_post_id"),
    persona_field="persona_id",
    parts_field="media_items",
    part=GENERATED_MEDIA_ITEM,
    parts_are_replaced=True,
    part_kinds=("generated_media_item", "voice_conversion"),
    data_fields=GENERATED_POST_FIELDS,
    sample=GENERATED_POST_SAMPLE,
    # Generation guide: a full regeneration keeps the post's id and makes new items; `failed_only` gives each retried
    # item a new id.
    names=RequestNames(
        fields=("generated_post_id",),
        shape="media_items",
        relatives=frozenset({"outgoing_post_id"}),
        retried=RetriedParts(field="retried_items", original="original_item_id", new="new_item_id"),
    ),
    reruns=True,
    errors=ERRORS,
    observe=observe_generated_post,
)

VOICE_CONVERSION = KindSpec(
    name="voice_conversion",
    provider="reelmirror",
    noun="voice conversion",
    path="/v1/generated-media-items/{id}",
    timing=Timing(interval_s=10, timeout_s=300),
    expected_s=(30, 120),
    endings={
        "completed": (Outcome.SUCCEEDED, "The media item's voice has been converted."),
        "failed": (Outcome.FAILED, "The voice conversion failed; the media item itself is untouched."),
    },
    progress={"processing": "The voice is being converted."},
    ends=VOICE_ENDS,
    runs=VOICE_RUNS,
    status_field="voice_conversion_status",
    null_status_is_queued=True,
    loose_words=True,
    extra_words="voice",
    error_fields=("voice_conversion_error", "voice_conversion_error_message", "error_message"),
    related_fields=("generated_post_id", "persona_id"),
    persona_field="persona_id",
    parent_field="generated_post_id",
    data_fields=MEDIA_ITEM_FIELDS,
    sample=VOICE_CONVERSION_SAMPLE,
    names=RequestNames(fields=("generated_media_item_id",), needs_kind=True),
    errors=ERRORS,
    observe=observe_status,
)

PUBLISHING_DELIVERY = KindSpec(
    name="publishing_delivery",
    provider="reelmirror",
    noun="publishing delivery",
    path="",
    registrable=False,
    timing=Timing(interval_s=10, timeout_s=180),
    expected_s=(10, 60),
    endings={
        "published": (Outcome.SUCCEEDED, "The post is published on one account."),
        "failed": (Outcome.FAILED, "The post could not be published on one account."),
    },
    progress={},
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
    data_fields=PUBLISHING_DELIVERY_FIELDS,
    sample=PUBLISHING_DELIVERY_SAMPLE,
    errors=ERRORS,
    observe=observe_status,
)

OUTGOING_POST = KindSpec(
    name="outgoing_post",
    provider="reelmirror",
    noun="outgoing post",
    path="/v1/publishing/posts/{id}",
    list=ListSpec(path="/v1/publishing/posts", documented=False),
    timing=Timing(interval_s=10, timeout_s=180),
    expected_s=(10, 60),
    clock=Clock.FIRST_PART,
    endings={
        "published": (Outcome.SUCCEEDED, "The post is published on every account."),
        "partial": (Outcome.PARTIAL, "The post is published on some accounts and failed on others."),
        "failed": (Outcome.FAILED, "The post could not be published on any account."),
    },
    progress={"publishing": "The post is being published on its accounts."},
    # Its own word does not end it (Webhooks guide: check the deliveries), but where it goes on saying that it failed.
    # A progress word means that it has begun.
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
    settled_words=frozenset({"published", "partial", "partially_published", "completed", "failed"}),
    related_fields=("persona_id", "generated_post_id"),
    persona_field="persona_id",
    parts_field="deliveries",
    part=PUBLISHING_DELIVERY,
    parts_are_reported=True,
    part_kinds=("publishing_delivery",),
    data_fields=OUTGOING_POST_FIELDS,
    sample=OUTGOING_POST_SAMPLE,
    names=RequestNames(
        fields=("outgoing_post_id",), shape="deliveries", relatives=frozenset({"generated_post_id"})
    ),
    errors=ERRORS,
    observe=observe_outgoing_post,
)

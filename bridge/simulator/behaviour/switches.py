"""Switches for everything that the vendors' pages leave open; the defaults are what the pages print."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from bridge.simulator.behaviour.rate_windows import Window

Envelope = Literal["data", "post", "bare"]
ResetUnit = Literal["s", "ms", "iso"]


class VoiceWords(BaseModel):
    """Values of `voice_conversion_status`; the pages document only null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    waiting: str = "pending"
    working: str = "processing"
    done: str = "completed"
    failed: str = "failed"


class Switches(BaseModel):
    """How the emulated upstreams behave; switches that shape a job apply to jobs and runs that start afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # envelopes of ReelMirror's responses; guides print start calls bare and outgoing posts under `post`
    envelope_sync_job: Envelope = "data"
    envelope_generated_post: Envelope = "data"
    envelope_generated_media_item: Envelope = "data"
    envelope_outgoing_post: Envelope = "post"
    envelope_create_outgoing_post: Envelope = "data"
    envelope_start: Envelope = "bare"
    envelope_other: Envelope = "data"

    # lists
    list_outgoing_posts: bool = False
    list_sync_jobs: bool = False
    list_personas: bool = True
    list_sources: bool = True
    absent_list_status: Literal[400, 403, 404, 405] = 404
    list_order: Literal["newest", "oldest"] = "newest"
    list_count: Literal["total", "page"] = "total"
    list_rows: Literal["full", "short"] = "full"
    list_over_100: Literal["clamp", "reject"] = "clamp"
    transaction_field: Literal["operation_type", "type"] = "operation_type"

    # how jobs run
    start_outcome: Literal["completed", "failed", "partial", "skipped"] = "completed"
    extra_fields: bool = True  # persona_id, timestamps and the like, which no page shows on jobs
    unknown_words: bool = False  # states in between carry words that no page lists
    items_appear: Literal["at_once", "later", "when_done"] = "later"
    partial_status: Literal["failed", "completed", "generating"] = "completed"
    post_ends: Literal["with_items", "before_items", "after_items"] = "with_items"
    regenerated_item_id: Literal["same", "new"] = "same"
    rerun_shows_after_s: NonNegativeFloat = (
        0.0  # simulated seconds for which a job that runs again looks as before
    )
    keep_failed_items: bool = False  # whether a run with failed_only keeps the old items listed
    clone_answer: Literal["generated_post_id", "id", "late"] = "generated_post_id"
    voice_words: VoiceWords = VoiceWords()
    delivery_words: tuple[str, ...] = ("publishing",)
    deliveries_appear: Literal["at_once", "later"] = "at_once"
    outgoing_words: dict[str, str] = Field(default_factory=dict)  # simulator's word -> word to show
    approve_review_status: Literal["pending_review", "approved"] = "pending_review"
    unknown_personas: Literal["404", "create"] = "404"

    # keys and money
    private_jobs: bool = False  # another account's job is a 404
    default_scopes: Literal["all", "documented"] = "all"  # documented: no billing:*, no feedback:*
    sync_job_scope: str = "content:read"
    start_balance_cents: NonNegativeInt = 1_000_000

    # rate limits
    rate_limiter: bool = True
    rate_window: Window = "fixed"
    rate_headers: bool = True
    rate_per: Literal["key", "account"] = "key"
    rate_api_key_per_minute: PositiveInt = 60
    rate_jwt_per_minute: PositiveInt = 120
    rate_reset: ResetUnit = "s"
    rate_retry_after: bool = False
    reelbot_generate_per_hour: PositiveInt = 10
    reelbot_status_per_minute: PositiveInt = 60
    reelbot_download_per_hour: PositiveInt = 30
    reelbot_rate_reset: ResetUnit = "iso"
    reelbot_retry_after: bool = True

    # ReelBot
    reelbot_generate_status: Literal[200, 201, 202] = 200
    reelbot_generate_envelope: Literal["top", "data"] = "top"
    reelbot_updated_at: bool = True
    reelbot_fails_from: Literal["processing", "queued"] = "processing"
    reelbot_strict_ids: bool = False
    reelbot_quota: NonNegativeInt = 500

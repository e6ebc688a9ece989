"""Upstream objects in their first state, with the documented fields."""

from collections.abc import Mapping
from typing import Any

from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.jobs.timeline import NOW

KINDS = ("sync_job", "generated_post", "generated_media_item", "outgoing_post", "reelbot_video")
MEMBERS: Mapping[str, str] = {"generated_post": "media_items", "outgoing_post": "deliveries"}


def new_sync_job(job_id: str, *, persona_id: str | None, switches: Switches) -> dict[str, Any]:
    """Return a new sync job; documented are `status` and `error_message`."""
    job: dict[str, Any] = {"id": job_id, "status": "pending", "error_message": None}
    if switches.extra_fields:
        job |= {"persona_id": persona_id, "posts_found": None, "created_at": NOW}
        job |= {"started_at": None, "completed_at": None}
    return job


def new_post(
    post_id: str, *, persona_id: str | None, source_post_id: str | None, switches: Switches
) -> dict[str, Any]:
    """Return a new generated post, still without its items."""
    post: dict[str, Any] = {"id": post_id, "status": "pending", "review_status": "pending_review"}
    post |= {"caption": None, "media_items": []}
    if switches.extra_fields:
        post |= {"persona_id": persona_id, "source_post_id": source_post_id}
        post |= {"created_at": NOW, "updated_at": NOW}
    return post


def new_item(item_id: str, media_type: str = "image", *, discount: bool = False) -> dict[str, Any]:
    """Return a new media item."""
    return {
        "id": item_id,
        "media_type": media_type,
        "status": "pending",
        "url": None,
        "is_public": False,
        "discount_applied": discount,
        "voice_conversion_status": None,
    }


def new_delivery(delivery_id: str, account: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new delivery to one connected account."""
    return {
        "id": delivery_id,
        "connected_account_id": account["id"],
        "platform": account["platform"],
        "username": account["username"],
        "status": "pending",
        "platform_post_id": None,
        "error_message": None,
        "published_at": None,
    }


def new_outgoing(
    outgoing_id: str, *, persona_id: str | None, caption: str | None, items: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a new outgoing post: a draft without deliveries."""
    return {
        "id": outgoing_id,
        "persona_id": persona_id,
        "caption": caption,
        "status": "draft",
        "scheduled_for": None,
        "platform_settings": {},
        "items": items,
        "deliveries": [],
        "created_at": NOW,
        "updated_at": NOW,
    }


def new_video() -> dict[str, Any]:
    """Return a new ReelBot project in the form of its status response: without an id, without `updatedAt`."""
    return {"status": "queued", "message": "Video is queued for processing", "createdAt": NOW}

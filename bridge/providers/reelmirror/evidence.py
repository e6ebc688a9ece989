"""What ReelMirror's starts leave behind, by which they are found when their answer was lost (guide "Generation")."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bridge.providers.reelmirror.kinds import (
    GENERATED_MEDIA_ITEM,
    GENERATED_POST,
    OUTGOING_POST,
    VOICE_CONVERSION,
)
from bridge.providers.start_evidence import ChargeList, StartEvidence, Trace
from bridge.providers.status_words import read_id

SOURCES = "/v1/personas/{persona}/sources"


def makes_posts(source: Mapping[str, Any]) -> bool:
    """Whether a persona's source makes posts without a call (automation modes, guide "Automation")."""
    return source.get("automation_mode") in ("auto_clone", "auto_publish")


def rebuild_generate(post_id: str) -> tuple[int, Mapping[str, Any]]:
    """Return the documented answer to `POST /v1/generate`."""
    return 202, {"status": "started", "generated_post_id": post_id}


def rebuild_approve(outgoing_id: str) -> tuple[int, Mapping[str, Any]]:
    """Return the documented answer to `POST /v1/generated-posts/{id}/approve` (guide "Review queue")."""
    return 200, {"status": "publishing", "outgoing_post_id": outgoing_id}


def rebuild_compose(outgoing_id: str) -> tuple[int, Mapping[str, Any]]:
    """Return the documented answer to `POST /v1/generated-posts/{id}/send-to-compose` (guide "Review queue")."""
    return 200, {"outgoing_post_id": outgoing_id}


def list_media_items(outgoing: Mapping[str, Any]) -> frozenset[str]:
    """Return the media items of an outgoing post ("Create outgoing post")."""
    items = outgoing.get("items")
    named = (
        read_id(item.get("generated_media_item_id"))
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
    )
    return frozenset(each for each in named if each is not None)


# "List transactions"; a key has the scope for it only if it was asked for.
CHARGES = ChargeList(
    path="/v1/billing/transactions",
    id_fields=("generated_post_id", "generated_media_item_id"),
    amount_field="amount_cents",
)

EVIDENCE: Mapping[str, StartEvidence] = MappingProxyType(
    {
        "generate": StartEvidence(
            kind=GENERATED_POST,
            source_field="source_post_id",
            automation_path=SOURCES,
            automatic=makes_posts,
            rebuild=rebuild_generate,
        ),
        # What it answers is not documented, and a post does not name the URL that it was made from.
        "clone_url": StartEvidence(kind=GENERATED_POST, automation_path=SOURCES, automatic=makes_posts),
        # What these answer is not documented, but for a run of the failed items, whose pairs nothing else tells.
        "regenerate_post": StartEvidence(kind=GENERATED_POST, trace=Trace.NEW_RUN),
        "media_item": StartEvidence(kind=GENERATED_MEDIA_ITEM, trace=Trace.NEW_RUN),
        "voice_convert": StartEvidence(kind=VOICE_CONVERSION, trace=Trace.NEW_RUN),
        "approve": StartEvidence(
            kind=OUTGOING_POST, trace=Trace.LINK, linked=list_media_items, rebuild=rebuild_approve
        ),
        "send_to_compose": StartEvidence(
            kind=OUTGOING_POST, trace=Trace.LINK, linked=list_media_items, rebuild=rebuild_compose
        ),
    }
)

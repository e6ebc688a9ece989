"""Invented ReelMirror objects for samples of events, all of one story: one post, two items, two accounts."""

from typing import Any

from bridge.domain.events.catalogue import KindSample

_PERSONA = "3f6c1d2e-8a4b-4c5d-9e6f-0a1b2c3d4e5f"
_SOURCE = "b7d0a9c8-1e2f-4a3b-8c4d-5e6f7a8b9c0d"
_SYNC_JOB = "5b0d3f1e-9c7a-4e2b-8d6f-1a3c5e7b9d0f"
_POST = "a1e4c7b0-2d5f-4836-9a1c-7b3e5d8f0a2c"
_ITEMS = ("c3a5e7d9-4b6f-4182-8c0e-1d3f5a7b9c2e", "d4b6f8e0-5c7a-4293-9d1f-2e4a6b8c0d3f")
_OUTGOING = "e5c7a9f1-6d8b-43a4-8e2a-3f5b7c9d1e4a"
_DELIVERIES = ("f6d8b0a2-7e9c-44b5-9f3b-4a6c8d0e2f5b", "07e9c1b3-8f0d-45c6-8a4c-5b7d9e1f3a6c")
_ACCOUNTS = ("18f0d2c4-9a1e-46d7-9b5d-6c8e0f2a4b7d", "29a1e3d5-0b2f-47e8-8c6e-7d9f1a3b5c8e")
_STARTED, _ENDED = "2026-11-21T10:32:00.000Z", "2026-11-21T10:34:05.000Z"
_PRIVATE = "the source account is private"
_REASON = "the source video could not be read"
_EXPIRED = "the platform's token has expired"
_REVIEWS = frozenset({"approved", "rejected", "published"})
_OF_POST = {"persona_id": _PERSONA, "generated_post_id": _POST}


def _sync_job(state: str) -> dict[str, Any]:
    reason = _PRIVATE if state == "failed" else None
    related = {"persona_id": _PERSONA, "source_id": _SOURCE}
    return {"id": _SYNC_JOB, "status": state, "error_message": reason, **related}


def _item(number: int, state: str) -> dict[str, Any]:
    done = state == "completed"
    return {
        "id": _ITEMS[number],
        "generated_post_id": _POST,
        "media_type": "video",
        "status": state,
        "url": f"https://cdn.example.com/generated/{_ITEMS[number]}.mp4" if done else None,
        "is_public": False,
        "discount_applied": False,
        "voice_conversion_status": "completed" if done else None,
        "error_message": _REASON if state == "failed" else None,
    }


def _first_item(state: str) -> dict[str, Any]:
    return _item(0, state)


def _converted_item(state: str) -> dict[str, Any]:
    return {**_item(0, "completed"), "voice_conversion_status": state}


def _post(state: str) -> dict[str, Any]:
    states = {
        "generating": ("completed", "generating"),
        "partial": ("completed", "failed"),
        "failed": ("failed", "failed"),
    }.get(state, ("completed", "completed"))
    ended = state if state in ("generating", "failed") else "completed"
    return {
        "id": _POST,
        "status": ended,
        "review_status": state if state in _REVIEWS else "pending_review",
        "caption": "Three stretches before your first coffee",
        "persona_id": _PERSONA,
        "source_post_id": _SOURCE,
        "media_items": [_item(number, each) for number, each in enumerate(states)],
        "error_message": _REASON if state == "failed" else None,
        "created_at": _STARTED,
        "updated_at": _ENDED,
    }


def _delivery(number: int, state: str) -> dict[str, Any]:
    done = state == "published"
    return {
        "id": _DELIVERIES[number],
        "connected_account_id": _ACCOUNTS[number],
        "platform": ("instagram", "tiktok")[number],
        "username": ("morning.moves", "morningmoves")[number],
        "status": state,
        "platform_post_id": "17890012345678901" if done else None,
        "error_message": _EXPIRED if state == "failed" else None,
        "published_at": _ENDED if done else None,
    }


def _first_delivery(state: str) -> dict[str, Any]:
    return _delivery(0, state)


def _outgoing(state: str) -> dict[str, Any]:
    states = {"publishing": ("published", "publishing"), "partial": ("published", "failed")}
    ended = states.get(state, (state, state))
    return {
        "id": _OUTGOING,
        "persona_id": _PERSONA,
        "caption": "Three stretches before your first coffee",
        "status": state,
        "scheduled_for": "2026-11-21T10:33:00.000Z",
        "platform_settings": {"instagram": {"share_to_feed": True}},
        "items": [
            {
                "id": "3ab2f4e6-1c3a-48f9-9d7f-8e0a2b4c6d9f",
                "generated_media_item_id": _ITEMS[0],
                "position": 0,
                "use_voice_converted": True,
            }
        ],
        "deliveries": [_delivery(number, each) for number, each in enumerate(ended)],
        "created_at": _STARTED,
        "updated_at": _ENDED,
    }


SYNC_JOB_SAMPLE = KindSample(
    id=_SYNC_JOB,
    build=_sync_job,
    running="running",
    related={"persona_id": _PERSONA, "source_id": _SOURCE},
    messages={"failed": _PRIVATE},
)
GENERATED_POST_SAMPLE = KindSample(
    id=_POST,
    build=_post,
    running="generating",
    related={"persona_id": _PERSONA, "source_post_id": _SOURCE},
)
MEDIA_ITEM_SAMPLE = KindSample(
    id=_ITEMS[0], build=_first_item, running="generating", related=_OF_POST, messages={"failed": _REASON}
)
VOICE_CONVERSION_SAMPLE = KindSample(
    id=_ITEMS[0],
    build=_converted_item,
    running="processing",
    related=_OF_POST,
    messages={"failed": "the voice sample is too short"},
)
PUBLISHING_DELIVERY_SAMPLE = KindSample(
    id=_DELIVERIES[0],
    build=_first_delivery,
    running="publishing",
    related={"outgoing_post_id": _OUTGOING},
    messages={"failed": _EXPIRED},
)
OUTGOING_POST_SAMPLE = KindSample(
    id=_OUTGOING,
    build=_outgoing,
    running="publishing",
    related=_OF_POST,
    messages={
        "partial": f"1 of 2 deliveries failed: {_EXPIRED}",
        "failed": f"2 of 2 deliveries failed: {_EXPIRED}",
    },
)
SHOWCASE_RELATED = {**_OF_POST, "outgoing_post_id": _OUTGOING}

"""The upstream objects inside the samples: invented, complete, and of one story (one post, two items, two accounts)."""

from collections.abc import Mapping
from typing import Any

from bridge.domain.events.catalogue import EventType
from bridge.domain.observation import Ending, Outcome, Part

AT_MS = 1_795_257_250_123  # 2026-11-21T10:34:10.123Z
METADATA = {"order": "42"}

_PERSONA = "3f6c1d2e-8a4b-4c5d-9e6f-0a1b2c3d4e5f"
_SOURCE = "b7d0a9c8-1e2f-4a3b-8c4d-5e6f7a8b9c0d"
_POST = "a1e4c7b0-2d5f-4836-9a1c-7b3e5d8f0a2c"
_ITEMS = ("c3a5e7d9-4b6f-4182-8c0e-1d3f5a7b9c2e", "d4b6f8e0-5c7a-4293-9d1f-2e4a6b8c0d3f")
_OUTGOING = "e5c7a9f1-6d8b-43a4-8e2a-3f5b7c9d1e4a"
_DELIVERIES = ("f6d8b0a2-7e9c-44b5-9f3b-4a6c8d0e2f5b", "07e9c1b3-8f0d-45c6-8a4c-5b7d9e1f3a6c")
_ACCOUNTS = ("18f0d2c4-9a1e-46d7-9b5d-6c8e0f2a4b7d", "29a1e3d5-0b2f-47e8-8c6e-7d9f1a3b5c8e")
_IDS: Mapping[str, str] = {
    "sync_job": "5b0d3f1e-9c7a-4e2b-8d6f-1a3c5e7b9d0f",
    "generated_post": _POST,
    "generated_media_item": _ITEMS[0],
    "voice_conversion": _ITEMS[0],
    "publishing_delivery": _DELIVERIES[0],
    "outgoing_post": _OUTGOING,
    "reelbot_video": "k7m2p9x4q1zd",
    "webhook": _POST,
}
_STARTED, _ENDED = "2026-11-21T10:32:00.000Z", "2026-11-21T10:34:05.000Z"
_REASON = "the source video could not be read"
_EXPIRED = "the platform's token has expired"
_NO_OBJECT = frozenset({"deleted", "not_found", "replaced", "unauthorized"})
_REVIEW = frozenset({"approved", "rejected", "published"})
_RUNNING = {
    "sync_job": "running",
    "voice_conversion": "processing",
    "publishing_delivery": "publishing",
    "outgoing_post": "publishing",
    "reelbot_video": "processing",
}


def sample_id(kind: str) -> str:
    """Give the id of the object that a kind's samples tell of."""
    return _IDS[kind]


def sample_related(known: EventType) -> dict[str, str]:
    """Give the ids that a sample's object belongs to."""
    post = {"persona_id": _PERSONA, "generated_post_id": _POST}
    related = {
        "sync_job": {"persona_id": _PERSONA, "source_id": _SOURCE},
        "generated_post": {"persona_id": _PERSONA, "source_post_id": _SOURCE},
        "generated_media_item": post,
        "voice_conversion": post,
        "publishing_delivery": {"outgoing_post_id": _OUTGOING},
        "outgoing_post": post,
        "webhook": {**post, "outgoing_post_id": _OUTGOING},
    }
    return related.get(known.kind, {})


def sample_data(known: EventType) -> dict[str, Any]:
    """Give the object of a sample, in the state that its type tells of."""
    if known.service:
        return _service()
    if known.word in _NO_OBJECT:
        return {"id": sample_id(known.kind)}
    # A job that timed out is one that still runs.
    running = _RUNNING.get(known.kind, "generating")
    state = running if known.word == "timed_out" else known.word
    match known.kind:
        case "sync_job":
            return _sync_job(state)
        case "generated_post":
            return _post(state)
        case "generated_media_item":
            return _item(0, state)
        case "voice_conversion":
            return {**_item(0, "completed"), "voice_conversion_status": state}
        case "publishing_delivery":
            return _delivery(0, state)
        case "outgoing_post":
            return _outgoing(state)
        case _:
            return _video(state)


def sample_status(known: EventType) -> str:
    """Give the upstream's last word in a sample, empty where it never spoke."""
    data = sample_data(known)
    if known.word in ("deleted", "unauthorized"):
        return _RUNNING.get(known.kind, "generating")
    if known.word == "replaced":
        return "failed"
    field = "voice_conversion_status" if known.kind == "voice_conversion" else "status"
    return str(data.get(field) or "")


def sample_parts(known: EventType) -> tuple[Part, ...]:
    """Give the items or deliveries of a sample as they were read, for its summary and error."""
    data = sample_data(known)
    listed = data.get("media_items") or data.get("deliveries") or data.get("jobs") or ()
    return tuple(Part(id=each["id"], status=each["status"], ending=_end(each), data=each) for each in listed)


def _end(part: Mapping[str, Any]) -> Ending | None:
    match part["status"]:
        case "failed":
            return Ending(word="failed", outcome=Outcome.FAILED, message=part.get("error_message"))
        case "completed" | "published" as word:
            return Ending(word=word, outcome=Outcome.SUCCEEDED)
        case _:
            return None


def _sync_job(state: str) -> dict[str, Any]:
    reason = "the source account is private" if state == "failed" else None
    related = {"persona_id": _PERSONA, "source_id": _SOURCE}
    return {"id": sample_id("sync_job"), "status": state, "error_message": reason, **related}


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
        "review_status": state if state in _REVIEW else "pending_review",
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


def _video(state: str) -> dict[str, Any]:
    by_state = {
        "completed": {"outputKey": "users/u1/output/k7m2p9x4q1zd.mp4"},
        "failed": {"error": "the b-roll could not be downloaded"},
    }
    return {
        "id": sample_id("reelbot_video"),
        "status": state,
        "message": f"Video {state}",
        "createdAt": _STARTED,
        "updatedAt": _ENDED,
        **by_state.get(state, {}),
    }


def _service() -> dict[str, Any]:
    post: dict[str, Any] = _fill(_post("partial"))
    return {"message": "This is a sample: it tells of no real job.", **post}


def _fill(value: Any) -> Any:
    """Leave no field null: a tool that learns from one sample would not learn the null ones."""
    match value:
        case dict():
            return {name: _fill(each) for name, each in value.items()}
        case list():
            return [_fill(each) for each in value]
        case None:
            return "an example"
        case _:
            return value

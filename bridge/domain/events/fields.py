"""The documented fields of `data`, kind by kind: what `flat` always carries, and what the schemas describe.

Sources: ReelMirror "Webhooks", "Generation", "Review queue" and "Create outgoing post"; ReelBot "Check Status".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Shape(StrEnum):
    """A field's JSON type."""

    TEXT = "string"
    NUMBER = "integer"
    FLAG = "boolean"
    OBJECT = "object"
    LIST = "array"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an upstream's object; `parts` are the fields of a list's entries, `part` their name in `flat`."""

    name: str
    shape: Shape = Shape.TEXT
    note: str = ""
    format: str = ""
    part: str = ""
    parts: tuple["Field", ...] = ()


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name) for name in names)


def _moments(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, format="date-time") for name in names)


_ID = Field(name="id", note="The provider's id of the object.")
_STATUS = Field(name="status", note="The provider's own word.")
_ERROR_MESSAGE = Field(name="error_message", note="The provider's reason, once it failed.")

SYNC_JOB = (_ID, _STATUS, _ERROR_MESSAGE, *_texts("persona_id", "source_id"))

MEDIA_ITEM = (
    _ID,
    Field(name="generated_post_id", note="The post that the item belongs to."),
    Field(name="media_type", note="`image` or `video`."),
    _STATUS,
    Field(name="url", note="The file, once the item is done."),
    Field(name="is_public", shape=Shape.FLAG),
    Field(name="discount_applied", shape=Shape.FLAG),
    Field(name="voice_conversion_status", note="How the voice conversion stands; null without one."),
    _ERROR_MESSAGE,
)

GENERATED_POST = (
    _ID,
    _STATUS,
    Field(name="review_status", note="`pending_review`, `approved`, `rejected` or `published`."),
    Field(name="caption"),
    *_texts("persona_id", "source_post_id"),
    Field(name="media_items", shape=Shape.LIST, part="item", parts=MEDIA_ITEM),
    _ERROR_MESSAGE,
    *_moments("created_at", "updated_at"),
)

PUBLISHING_DELIVERY = (
    _ID,
    *_texts("connected_account_id", "platform", "username"),
    _STATUS,
    Field(name="platform_post_id", note="The post's id on the platform, once published."),
    _ERROR_MESSAGE,
    *_moments("published_at"),
)

_OUTGOING_ITEM = (
    _ID,
    Field(name="generated_media_item_id"),
    Field(name="position", shape=Shape.NUMBER),
    Field(name="use_voice_converted", shape=Shape.FLAG),
)

OUTGOING_POST = (
    _ID,
    *_texts("persona_id", "caption"),
    Field(name="status", note="The provider's own word; the deliveries decide how the post ended."),
    *_moments("scheduled_for"),
    Field(name="platform_settings", shape=Shape.OBJECT),
    Field(name="items", shape=Shape.LIST, part="item", parts=_OUTGOING_ITEM),
    Field(name="deliveries", shape=Shape.LIST, part="delivery", parts=PUBLISHING_DELIVERY),
    *_moments("created_at", "updated_at"),
)

REELBOT_VIDEO = (
    Field(name="id", note="The `projectId`, which ReelBot's own answer leaves out."),
    _STATUS,
    Field(name="message", note="For people."),
    *_moments("createdAt", "updatedAt"),
    Field(name="outputKey", note="The file's key in ReelBot's storage, once completed."),
    Field(name="error", note="ReelBot's reason, once it failed."),
)

# The bridge's own objects
_SERVICE: Mapping[str, tuple[Field, ...]] = {
    "webhook": (Field(name="message", note="Says that this is a sample."), *GENERATED_POST),
}

DATA_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        "sync_job": SYNC_JOB,
        "generated_post": GENERATED_POST,
        "generated_media_item": MEDIA_ITEM,
        "voice_conversion": MEDIA_ITEM,
        "publishing_delivery": PUBLISHING_DELIVERY,
        "outgoing_post": OUTGOING_POST,
        "reelbot_video": REELBOT_VIDEO,
        **_SERVICE,
    }
)

# Ids that `related` may hold, of every kind.
RELATED = (
    "persona_id",
    "source_id",
    "source_post_id",
    "generated_post_id",
    "outgoing_post_id",
    "connected_account_id",
)

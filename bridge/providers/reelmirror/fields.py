"""The documented fields of ReelMirror's objects.

Sources: its guides Webhooks, Generation and Review queue, and "Create outgoing post" of its API reference.
"""

from bridge.domain.events.fields import (
    ERROR_MESSAGE,
    ID,
    STATUS,
    Field,
    Role,
    Shape,
    text_fields,
    time_fields,
)

SYNC_JOB_FIELDS = (ID, STATUS, ERROR_MESSAGE, *text_fields("persona_id", "source_id"))

MEDIA_ITEM_FIELDS = (
    ID,
    Field(name="generated_post_id", note="The post that the item belongs to."),
    Field(name="media_type", note="`image` or `video`."),
    STATUS,
    Field(name="url", note="The file, once the item is done.", role=Role.OUTPUT),
    Field(name="is_public", shape=Shape.FLAG),
    Field(name="discount_applied", shape=Shape.FLAG),
    Field(name="voice_conversion_status", note="How the voice conversion stands; null without one."),
    ERROR_MESSAGE,
)

GENERATED_POST_FIELDS = (
    ID,
    STATUS,
    Field(name="review_status", note="`pending_review`, `approved`, `rejected` or `published`."),
    Field(name="caption"),
    *text_fields("persona_id", "source_post_id"),
    Field(name="media_items", shape=Shape.LIST, part="item", parts=MEDIA_ITEM_FIELDS),
    ERROR_MESSAGE,
    *time_fields("created_at", "updated_at"),
)

PUBLISHING_DELIVERY_FIELDS = (
    ID,
    *text_fields("connected_account_id"),
    Field(name="platform", role=Role.NAME),
    Field(name="username", role=Role.NAME),
    STATUS,
    Field(name="platform_post_id", note="The post's id on the platform, once published."),
    ERROR_MESSAGE,
    *time_fields("published_at"),
)

_OUTGOING_ITEM_FIELDS = (
    ID,
    Field(name="generated_media_item_id", role=Role.NAME),
    Field(name="position", shape=Shape.NUMBER),
    Field(name="use_voice_converted", shape=Shape.FLAG),
)

OUTGOING_POST_FIELDS = (
    ID,
    *text_fields("persona_id", "caption"),
    Field(name="status", note="The provider's own word; the deliveries decide how the post ended."),
    *time_fields("scheduled_for"),
    Field(name="platform_settings", shape=Shape.OBJECT),
    Field(name="items", shape=Shape.LIST, part="item", parts=_OUTGOING_ITEM_FIELDS),
    Field(name="deliveries", shape=Shape.LIST, part="delivery", parts=PUBLISHING_DELIVERY_FIELDS),
    *time_fields("created_at", "updated_at"),
)

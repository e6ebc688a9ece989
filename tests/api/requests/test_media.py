"""The media type of a generated post, read from the provider's answer when a registration includes it."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from bridge.api.requests.callback_request import read_callback_request

IMAGE, VIDEO = {"id": "i1", "media_type": "image"}, {"id": "i2", "media_type": "video"}
NAMED = {"generated_post_id": "p1", "callback_url": "https://hooks.example.test/x"}


def media(body: object, kind: str = "application/json") -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_callback_request(raw, kind).media


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, ""),
        ({"media_type": "video"}, "video"),
        ({"media_items": [VIDEO]}, "video"),
        ({"media_items": [IMAGE, IMAGE, {"id": "i3"}]}, "image"),
        ({"media_items": [IMAGE, VIDEO]}, ""),  # the slowest of several is not known by one word
        (
            {"retried_items": [{"original_item_id": "i0", "new_item_id": "i2", "media_type": "video"}]},
            "video",
        ),
        ({"media_type": "image", "media_items": [VIDEO]}, ""),
        ({"media_type": "video", "media_items": [VIDEO], "retried_items": []}, "video"),
        ({"media_items": []}, ""),
        ({"data": {"id": "p1", "media_items": [VIDEO]}}, "video"),
        ({"post": {"id": "p1", "media_items": [IMAGE]}}, "image"),
    ],
)
def test_the_media_type_that_all_items_share(fields: dict[str, Any], shown: str) -> None:
    """The answer to a generation is often sent on as it came, in its envelope or beside our own fields."""
    assert media({**NAMED, **fields}) == shown


@pytest.mark.parametrize(
    "strange", ["hologram", "VIDEO/MP4", "", None, 7, ["video", "image"], {"a": 1}, [], "\ud800"]
)
def test_a_strange_media_type_is_no_reason_to_refuse(strange: object) -> None:
    """It is a hint: without it the job counts as any of its kind."""
    assert media({**NAMED, "media_type": strange}) == ""
    assert media({**NAMED, "media_items": [{"id": "i1", "media_type": strange}]}) == ""


@pytest.mark.parametrize("strange", ["video", 7, {"media_type": "video"}, [None, "video", ["video"]], None])
def test_strange_items_show_nothing(strange: object) -> None:
    """Items that are no objects, or a list that is none, yield no media type."""
    assert media({**NAMED, "media_items": strange}) == ""


def test_a_form_can_carry_it() -> None:
    """As a field, and as JSON text."""
    form = "application/x-www-form-urlencoded"
    assert media(urlencode({**NAMED, "media_type": "video"}).encode(), form) == "video"
    assert media(urlencode({**NAMED, "media_items": json.dumps([IMAGE])}).encode(), form) == "image"

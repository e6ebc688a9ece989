"""The `flat` payload, for tools that learn an event's shape from one sample."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.events.event import Fact, build_body, build_event
from bridge.domain.events.samples import samples
from bridge.providers.registry import CATALOGUE

KINDS = sorted({each.kind for each in CATALOGUE.types.values()})


def flat(
    data: dict[str, Any], *, kind: str = "generated_post", metadata: Any = None, **related: str
) -> dict[str, Any]:
    """A flat body about an object."""
    fact = Fact(
        word="timed_out",
        kind=kind,
        job_id="a1",
        status="",
        outcome=None,
        error=None,
        summary=None,
        related=related,
        data=data,
        run=1,
        late=False,
    )
    event = build_event(CATALOGUE, fact, event_id="evt_x", at_ms=0, sequence=1, polls=1, lag_max_ms=None)
    body: dict[str, Any] = json.loads(
        build_body(CATALOGUE, event, payload="flat", subscription_id="cb_1", metadata=metadata, base_url="")
    )
    return body


def _shape(body: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in body.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_one_shape_whatever_it_tells(kind: str) -> None:
    """Every event of a kind has the same fields with the same types, also one that knows nothing of its job."""
    shapes = [
        _shape(samples(CATALOGUE, each.type, payload="flat")[0])
        for each in CATALOGUE.types.values()
        if each.kind == kind
    ]
    nothing = _shape(flat({"id": "a1"}, kind=kind))
    for shape in shapes:
        assert {name: shape[name] for name in nothing if name in shape} == nothing
        assert {name for name in shape if not name.startswith("metadata_")} == set(nothing)
    assert set(nothing.values()) <= {str, int, bool}


def test_fields_have_the_type_of_the_table_whatever_came() -> None:
    """A null, a number for a text or a text for a flag changes no type."""
    wrong = {"id": 7, "status": None, "url": {"a": 1}, "is_public": "yes", "media_type": True}
    body = flat(wrong, kind="generated_media_item")
    assert body["data_id"] == "7"
    assert body["data_status"] == ""
    assert body["data_url"] == '{"a":1}'
    assert body["data_is_public"] is False
    assert body["data_media_type"] == "true"
    positions = flat({"id": "a1", "items": [{"position": "3"}]}, kind="outgoing_post")
    assert positions["data_first_item_position"] == 0


def test_the_first_entry_and_the_count_of_a_list_are_fields() -> None:
    """Most posts have one item: its link is one field away."""
    items = [{"id": "i1", "url": "https://cdn.example/1.jpg", "is_public": True}, {"id": "i2"}]
    body = flat({"id": "a1", "media_items": items})
    assert body["data_first_item_url"] == "https://cdn.example/1.jpg"
    assert body["data_first_item_is_public"] is True
    assert body["data_media_items_count"] == 2
    assert json.loads(body["data_media_items"]) == items


@pytest.mark.parametrize("listed", [None, "none", {}, [], [None], ["x"]])
def test_a_list_that_is_none_or_odd_keeps_its_fields(listed: Any) -> None:
    """The first item's fields are there, empty, however the list looks."""
    body = flat({"id": "a1", "media_items": listed})
    assert body["data_first_item_id"] == ""
    assert body["data_media_items_count"] == (len(listed) if isinstance(listed, list) else 0)
    assert isinstance(body["data_media_items"], str)


@pytest.mark.parametrize(
    ("metadata", "fields"),
    [
        (None, {"metadata": ""}),
        ("order 42", {"metadata": "order 42"}),
        ({"order": "42"}, {"metadata": '{"order":"42"}', "metadata_order": "42"}),
        (
            {"orderId": 42, "paid": True, "none": None},
            {"metadata_order_id": 42, "metadata_paid": True, "metadata_none": ""},
        ),
        ({"deep": {"a": [1]}}, {"metadata_deep": '{"a":[1]}'}),
        (
            {"Order": 1, "order": 2, "ORDER": 3},
            {"metadata_order": 2, "metadata_order_2": 1, "metadata_order_3": 3},
        ),
        (
            {"Order": 1, "order_2": 2, "order": 3},
            {"metadata_order": 3, "metadata_order_2": 2, "metadata_order_3": 1},
        ),
        ({"日本": 1, "": 2}, {"metadata_field": 1, "metadata_field_2": 2}),
    ],
)
def test_metadata_is_one_text_and_one_field_a_key(metadata: Any, fields: dict[str, Any]) -> None:
    """Names become snake_case; a name that is, keeps itself in any order, and others that become it are told apart."""
    assert fields.items() <= flat({"id": "a1"}, metadata=metadata).items()


UNKNOWN: list[dict[str, Any]] = [
    {},
    {"posts_found": None},
    {"posts_found": 3, "Status": "shadow", "nested": {"a": None}},
    {"posts_found": "many", "media_items": [{"id": "i1", "new": 1}]},
]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_fields_change_no_shape(kind: str) -> None:
    """What no table knows is one JSON text, whatever it holds, and hides no known field."""
    shapes = [_shape(flat({"id": "a1", **data}, kind=kind)) for data in UNKNOWN]
    assert all(shape == shapes[0] for shape in shapes)


def test_unknown_fields_come_along() -> None:
    """None is lost."""
    body = flat({"id": "a1", "posts_found": 3, "Status": "shadow", "nested": {"a": None}}, other_id="o1")
    assert json.loads(body["data_other"]) == {"posts_found": 3, "Status": "shadow", "nested": {"a": None}}
    assert json.loads(body["related_other"]) == {"other_id": "o1"}
    assert body["data_status"] == ""


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_ITEMS = st.lists(
    st.dictionaries(st.sampled_from(["id", "url", "status", "error_message", "x"]), _JSON), max_size=12
)
_NAMES = st.sampled_from(["media_items", "deliveries", "items"])


@settings(deadline=None)  # a busy machine is no failure
@given(
    kind=st.sampled_from(KINDS),
    data=st.dictionaries(st.text(max_size=8), _JSON, max_size=4),
    lists=st.dictionaries(_NAMES, _ITEMS | _JSON),
)
def test_no_object_changes_the_shape(kind: str, data: dict[str, Any], lists: dict[str, Any]) -> None:
    """Whatever a provider sends, the fields and their types are those of an event that knows nothing."""
    assert _shape(flat({**data, **lists, "id": "a1"}, kind=kind)) == _shape(flat({"id": "a1"}, kind=kind))


def _item(number: int) -> dict[str, Any]:
    done = number % 3 != 0
    return {
        "id": f"i{number}",
        "status": "completed" if done else "failed",
        "url": f"https://cdn.example/{number}.jpg" if done else None,
        "error_message": None if done else f"item {number}\nis broken",
    }


def test_the_files_and_errors_of_all_items_are_reachable_without_code() -> None:
    """As texts with a line each, and as fields of each of the first ten."""
    body = flat({"id": "a1", "media_items": [_item(number) for number in range(1, 13)]})
    urls = [f"https://cdn.example/{number}.jpg" for number in range(1, 13) if number % 3]
    assert body["output_urls"].split("\n") == urls
    assert body["output_errors"].split("\n") == [f"item {number} is broken" for number in (3, 6, 9, 12)]
    assert (body["item_1_url"], body["item_3_url"]) == ("https://cdn.example/1.jpg", "")
    assert (body["item_3_status"], body["item_3_error_message"]) == ("failed", "item 3\nis broken")
    assert body["item_10_id"] == "i10"
    assert "item_11_id" not in body
    assert body["data_media_items_count"] == 12


def test_an_item_that_is_no_object_keeps_the_numbers_of_the_others() -> None:
    """The second entry stays the second."""
    body = flat({"id": "a1", "media_items": [None, _item(1), "x"]})
    assert (body["item_1_url"], body["item_2_url"]) == ("", "https://cdn.example/1.jpg")


@pytest.mark.parametrize(
    ("kind", "data", "urls", "errors"),
    [
        ("generated_media_item", {"url": "https://cdn.example/1.jpg"}, "https://cdn.example/1.jpg", ""),
        ("sync_job", {"error_message": "private"}, "", "private"),
        ("reelbot_video", {"error": "no b-roll"}, "", "no b-roll"),
        ("outgoing_post", {"deliveries": [{"error_message": "a"}, {"error_message": "b"}]}, "", "a\nb"),
        ("generated_post", {"error_message": "a", "media_items": [{"error_message": "a"}]}, "", "a"),
    ],
)
def test_outputs_and_errors_of_every_kind(kind: str, data: dict[str, Any], urls: str, errors: str) -> None:
    """The object's own and those of its lists, each once."""
    body = flat({"id": "a1", **data}, kind=kind)
    assert (body["output_urls"], body["output_errors"]) == (urls, errors)


def test_a_platform_is_named_for_each_delivery() -> None:
    """So that a message can say which account failed."""
    deliveries = [
        {"id": "d1", "platform": "instagram", "status": "published"},
        {"id": "d2", "platform": "tiktok", "status": "failed", "error_message": "expired"},
    ]
    body = flat({"id": "a1", "deliveries": deliveries}, kind="outgoing_post")
    assert (body["delivery_2_platform"], body["delivery_2_error_message"]) == ("tiktok", "expired")


def test_thousands_of_metadata_names_that_become_one_are_told_apart_quickly() -> None:
    """An object made to collide costs no more than any other of its size."""
    body = flat({"id": "a1"}, metadata={f"é{'é' * n}": n for n in range(300)})
    assert sum(name.startswith("metadata_field") for name in body) == 300

"""Ids in notices whose form is not known."""

from bridge.api.requests.named_ids import MAX_ID_CHARS, MOST_IDS, MOST_VALUES, list_named_ids


def test_ids_come_in_their_order_and_once() -> None:
    """From fields of any depth whose names end in id or ids, numbers as text."""
    notice = {
        "id": 7,
        "data": [{"postId": "p", "x": "no"}, {"item_ids": ["i", "p"]}],
        "valid": True,
        "aid": None,
    }
    assert list_named_ids(notice) == ["7", "p", "i"]


def test_a_large_notice_is_read_in_part() -> None:
    """Neither many ids nor a long one nor many other values keep anybody busy."""
    assert len(list_named_ids({"ids": [f"a{number}" for number in range(1_000)]})) == MOST_IDS
    assert list_named_ids({"id": "x" * (MAX_ID_CHARS + 1)}) == []
    assert list_named_ids([*[{"a": 1}] * MOST_VALUES, {"id": "late"}]) == []

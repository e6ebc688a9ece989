"""A post's items and deliveries are jobs of their own kinds, seen without another request."""

import json
from typing import Any

from bridge.domain.observation import Observation, Observed, Part
from bridge.providers import KINDS, ExtraWords, Lens
from bridge.providers.read import part_observation, read_answer


def observe(kind: str, body: dict[str, Any]) -> Observation:
    result = read_answer(
        KINDS[kind], job_id="p1", http_status=200, headers={}, body=json.dumps(body).encode(), now_ms=0
    )
    assert isinstance(result, Observed)
    return result.observation


def observe_item(**fields: Any) -> tuple[Part, Observation]:
    item = {"id": "i1", "status": "completed", "media_type": "image", **fields}
    post = observe(
        "generated_post",
        {"data": {"id": "p1", "persona_id": "n1", "status": "generating", "media_items": [item]}},
    )
    return post.parts[0], post


def test_a_delivery_is_seen_in_its_post() -> None:
    """A delivery's observation is the delivery itself, its own end, and the post it belongs to."""
    delivery = {
        "id": "d1",
        "status": "failed",
        "error_message": "token expired",
        "connected_account_id": "c1",
    }
    post = observe(
        "outgoing_post",
        {"post": {"id": "p1", "persona_id": "n1", "status": "publishing", "deliveries": [delivery]}},
    )
    seen = part_observation(KINDS["publishing_delivery"], post.parts[0], post)
    assert seen is not None
    assert seen.data == delivery
    assert seen.status == "failed"
    assert seen.ending is not None
    assert (seen.ending.word, seen.ending.message) == ("failed", "token expired")
    assert seen.related == {"outgoing_post_id": "p1", "persona_id": "n1", "connected_account_id": "c1"}


def test_an_item_is_seen_in_its_post() -> None:
    """An item's observation paces by its own media type and names its post."""
    part, post = observe_item(status="generating")
    seen = part_observation(KINDS["generated_media_item"], part, post)
    assert seen is not None
    assert (seen.status, seen.ending, seen.progress) == ("generating", None, "generating")
    assert (seen.timing.interval_s, seen.timing.timeout_s) == (10, 300)
    assert seen.related == {"generated_post_id": "p1", "persona_id": "n1"}


def test_a_voice_conversion_is_seen_in_its_post() -> None:
    """The item's conversion has its own state, read with the operator's words where they are given."""
    part, post = observe_item(voice_conversion_status="mastered")
    kind = KINDS["voice_conversion"]
    without = part_observation(kind, part, post)
    assert without is not None
    assert (without.ending, without.unknown) == (None, ("mastered",))
    lens = Lens(now_ms=0, words=ExtraWords(done=frozenset({"mastered"})))
    seen = part_observation(kind, part, post, lens=lens)
    assert seen is not None
    assert seen.ending is not None
    assert seen.ending.word == "completed"


def test_an_item_without_the_field_says_nothing_of_a_conversion() -> None:
    """A list's row may lack the conversion: that is no observation, where null is one."""
    kind = KINDS["voice_conversion"]
    assert part_observation(kind, *observe_item()) is None
    null = part_observation(kind, *observe_item(voice_conversion_status=None))
    assert null is not None
    assert null.ending is None


def test_a_kind_that_is_no_part_is_not_seen_in_one() -> None:
    """A sync job stands in no post."""
    assert part_observation(KINDS["sync_job"], *observe_item()) is None


def test_items_without_an_id_count_and_are_no_parts() -> None:
    """A row's items may have no id: they decide the post and cannot be followed one by one."""
    items = [{"status": "completed"}, {"id": 7, "status": "failed"}]
    post = observe("generated_post", {"id": "p1", "status": "completed", "media_items": items})
    assert post.ending is not None
    assert post.ending.word == "partial"
    assert [part.id for part in post.parts] == ["7"]


def test_superseded_items_stay_in_data() -> None:
    """Items of the former run neither end the post nor show as parts, and the client still gets them."""
    items = [{"id": "old", "status": "failed"}, {"id": "new", "status": "pending", "media_type": "video"}]
    body = json.dumps({"data": {"id": "p1", "status": "failed", "media_items": items}}).encode()
    result = read_answer(
        KINDS["generated_post"],
        job_id="p1",
        http_status=200,
        headers={},
        body=body,
        now_ms=0,
        superseded=frozenset({"old"}),
    )
    assert isinstance(result, Observed)
    assert result.observation.ending is None
    assert [part.id for part in result.observation.parts] == ["new"]
    assert result.observation.data["media_items"] == items


def test_data_is_as_the_upstream_gave_it() -> None:
    """Unwrapping keeps every field; only a missing id is put in."""
    body = {"data": {"status": "completed", "x": [1, 2.5, None], "id": None}}
    assert observe("sync_job", body).data == {"status": "completed", "x": [1, 2.5, None], "id": "p1"}
    assert observe("sync_job", {"id": "P1", "status": "running"}).data["id"] == "P1"

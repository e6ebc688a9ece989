"""Which jobs the answers to calls that begin work name, in each form in which an answer may come."""

from typing import Any

import pytest

from bridge.domain.starts.records import StartedJob
from bridge.providers import KINDS, PROVIDERS
from bridge.providers.start_spec import find_start, name_subject, read_started

PERSONA, OTHER = "p1", "j2"
BODY = {"persona_id": PERSONA, "source_post_id": "s1"}

# Call, its body, its answer, the jobs.
ANSWERS: list[tuple[str, dict[str, Any], dict[str, Any], list[StartedJob]]] = [
    (
        "/v1/personas/p1/sync",
        {},
        {"job_ids": ["j1", OTHER, "j1"], "estimated_cost_cents": 4},
        [StartedJob("sync_job", "j1", PERSONA), StartedJob("sync_job", OTHER, PERSONA)],
    ),
    ("/v1/personas/p1/sync", {}, {"job_ids": [], "estimated_cost_cents": 0}, []),
    ("/v1/personas/p1/sync", {}, {"job_ids": None, "job_id": 7}, [StartedJob("sync_job", "7", PERSONA)]),
    (
        "/v1/generate",
        BODY,
        {"status": "started", "generated_post_id": "j1"},
        [StartedJob("generated_post", "j1", PERSONA)],
    ),
    ("/v1/clone-url", BODY, {"generated_post_id": "j1"}, [StartedJob("generated_post", "j1", PERSONA)]),
    (
        "/v1/clone-url",
        BODY,
        {"generated_post_id": None, "id": "j1"},
        [StartedJob("generated_post", "j1", PERSONA)],
    ),
    ("/v1/clone-url", BODY, {"generated_post_id": "pending"}, []),
    ("/v1/clone-url", BODY, {"status": "queued"}, []),
    (
        "/v1/generate/regenerate-post",
        {"generated_post_id": "j1"},
        {"status": "started", "generated_post_id": "j1"},
        [StartedJob("generated_post", "j1", expect="new_run")],
    ),
    # The answer names no job, so that it is the one that the call is about.
    (
        "/v1/generate/regenerate-post",
        {"generated_post_id": "j1"},
        {"status": "started"},
        [StartedJob("generated_post", "j1", expect="new_run")],
    ),
    (
        "/v1/generate/regenerate-post",
        {"generated_post_id": "j1", "failed_only": True},
        {
            "generated_post_id": "j1",
            "retried_items": [{"original_item_id": "a", "new_item_id": "b"}, {"original_item_id": "c"}],
        },
        [StartedJob("generated_post", "j1", retried=(("a", "b"),))],
    ),
    (
        "/v1/generate/media-item",
        {"generated_media_item_id": "j1"},
        {"generated_media_item_id": "j1"},
        [StartedJob("generated_media_item", "j1", expect="new_run")],
    ),
    (
        "/v1/generate/media-item",
        {"generated_media_item_id": "j1"},
        {"generated_media_item_id": OTHER},
        [StartedJob("generated_media_item", OTHER)],
    ),
    (
        "/v1/generate/voice-convert",
        {"generated_media_item_id": "j1"},
        {"generated_media_item_id": "j1", "status": "started"},
        [StartedJob("voice_conversion", "j1", expect="new_run")],
    ),
    (
        "/v1/generated-posts/g1/approve",
        {},
        {"status": "publishing", "outgoing_post_id": "j1"},
        [StartedJob("outgoing_post", "j1", parent="g1")],
    ),
    ("/v1/generated-posts/g1/approve", {}, {"status": "publishing"}, []),
    (
        "/v1/generated-posts/g1/send-to-compose",
        {},
        {"outgoing_post_id": "j1"},
        [StartedJob("outgoing_post", "j1", parent="g1")],
    ),
    (
        "/v1/publishing/posts",
        {"persona_id": PERSONA, "items": []},
        {"id": "j1", "status": "draft", "deliveries": []},
        [StartedJob("outgoing_post", "j1", PERSONA)],
    ),
    ("/v1/publishing/posts/j1/publish", {}, {"status": "publishing"}, [StartedJob("outgoing_post", "j1")]),
    ("/v1/publishing/posts/j1/schedule", {}, {"id": "j1"}, [StartedJob("outgoing_post", "j1")]),
    (
        "/v1/video/generate",
        {},
        {"projectId": "j1", "status": "queued"},
        [StartedJob("reelbot_video", "j1")],
    ),
    ("/v1/video/generate", {}, {"project_id": "j1"}, [StartedJob("reelbot_video", "j1")]),
]


def read(path: str, body: dict[str, Any], answer: object) -> list[StartedJob]:
    for provider in PROVIDERS.values():
        if (found := find_start(provider.starts, "POST", path)) is not None:
            return read_started(found[0], {**body, **found[1]}, answer)
    raise AssertionError(path)


@pytest.mark.parametrize(("path", "body", "answer", "jobs"), ANSWERS)
def test_an_answer_names_jobs(
    path: str, body: dict[str, Any], answer: dict[str, Any], jobs: list[StartedJob]
) -> None:
    """Bare, in an envelope, in two, and with the id beside an envelope that does not hold it."""
    assert read(path, body, answer) == jobs
    assert read(path, body, {"success": True, "data": answer}) == jobs
    assert read(path, body, {"post": answer}) == jobs
    assert read(path, body, {"data": {"post": answer}}) == jobs
    assert read(path, body, {**answer, "data": {"note": "started"}}) == jobs


@pytest.mark.parametrize("answer", [None, [], "j1", 7, {}, {"data": []}, {"generated_post_id": ["../x", {}]}])
def test_an_answer_that_names_nothing(answer: object) -> None:
    """It is no error: nothing is registered."""
    assert read("/v1/generate", BODY, answer) == []


def test_every_start_has_an_answer_here() -> None:
    """A start that is added needs one; its kind exists, and its name is its own."""
    for provider in PROVIDERS.values():
        for start in provider.starts:
            assert start.kind in KINDS
            assert any(start.pattern.fullmatch(path) for path, *_ in ANSWERS), start.name
        names = [start.name for start in provider.starts]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("value", [None, "", "../x", {"a": 1}, True, "a b"])
def test_a_subject_is_an_id(value: object) -> None:
    """What stands in a request is the client's to choose, and may be anything."""
    assert name_subject({"persona_id": value}, "persona_id") == ""

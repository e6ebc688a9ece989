"""Switches for jobs and for ReelBot: each changes what a client gets."""

import re
from pathlib import Path

import pytest

from bridge.simulator.behaviour.switches import Switches
from tests.simulator.simulator_client import Sim

VIDEO = {"videoType": "cinematic", "topic": "cats", "brollKeys": ["a.mp4"]}


def test_every_switch_is_tested() -> None:
    """Every switch is named in one of these test modules."""
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*_switches.py")]
    tested = set(re.findall(r"\w+", " ".join(texts)))
    assert set(Switches.model_fields) <= tested


async def _words(sim: Sim, path: str, seconds: int, *, step: int = 1) -> list[str]:
    """Read a status repeatedly and return its words in the order of their first appearance."""
    seen: dict[str, None] = {}
    await sim.switch(rate_limiter=False)
    for _ in range(0, seconds, step):
        seen[(await sim.read(path))["status"]] = None
        sim.advance(step)
    return list(seen)


@pytest.mark.parametrize("outcome", ["completed", "failed", "skipped"])
async def test_switch_start_outcome(sim: Sim, outcome: str) -> None:
    """The outcome of work whose ids and texts ask for none."""
    await sim.switch(start_outcome=outcome)
    [job] = (await sim.mirror("POST", "/personas/demo/sync")).json["job_ids"]
    sim.advance(300)
    assert (await sim.read(f"/sync-jobs/{job}"))["status"] == outcome


async def test_switch_extra_fields(sim: Sim) -> None:
    """Without extra fields a job has the documented fields only."""
    assert (await sim.read("/generated-posts/demo-1"))["persona_id"] == "demo-persona"
    await sim.switch(extra_fields=False)
    post = await sim.read("/generated-posts/demo-2")
    assert set(post) == {"id", "status", "review_status", "caption", "media_items"}
    sim.advance(8)
    assert set(await sim.read("/generated-posts/demo-2")) == set(post)
    assert set(await sim.read("/sync-jobs/demo-2")) == {"id", "status", "error_message"}


async def test_switch_unknown_words(sim: Sim) -> None:
    """States in between carry words that no page lists; the words for endings stay."""
    await sim.switch(unknown_words=True)
    assert await _words(sim, "/sync-jobs/demo", 10) == ["pending", "ingesting", "completed"]
    assert await _words(sim, "/generated-posts/demo", 10) == ["pending", "rendering", "completed"]
    await sim.bot("GET", "/status/demo")
    sim.advance(5)
    assert (await sim.bot("GET", "/status/demo")).json["status"] == "encoding"


async def test_switch_items_appear(sim: Sim) -> None:
    """Items are listed at once, after a while, or only when all of them are done."""
    counts: dict[str, list[int]] = {}
    for when in ("at_once", "later", "when_done"):
        await sim.switch(items_appear=when)
        counts[when] = []
        for seconds in (0, 4, 4):
            sim.advance(seconds)
            counts[when].append(len((await sim.read(f"/generated-posts/demo-{when}"))["media_items"]))
    assert counts == {"at_once": [3, 3, 3], "later": [0, 3, 3], "when_done": [0, 0, 3]}


@pytest.mark.parametrize("status", ["failed", "completed", "generating"])
async def test_switch_partial_status(sim: Sim, status: str) -> None:
    """The post's own status when some of its items have failed."""
    await sim.switch(partial_status=status)
    await sim.read("/generated-posts/demo-partial")
    sim.advance(60)
    assert (await sim.read("/generated-posts/demo-partial"))["status"] == status


@pytest.mark.parametrize(
    ("when", "post", "item"),
    [
        ("with_items", "generating", "generating"),
        ("before_items", "completed", "generating"),  # the post is done before its items
        ("after_items", "generating", "completed"),  # and the reverse
    ],
)
async def test_switch_post_ends(sim: Sim, when: str, post: str, item: str) -> None:
    """Post and items need not end together."""
    await sim.switch(post_ends=when)
    await sim.read("/generated-posts/demo")
    sim.advance(8 if when == "after_items" else 7.5)
    seen = await sim.read("/generated-posts/demo")
    assert (seen["status"], seen["media_items"][-1]["status"]) == (post, item)


@pytest.mark.parametrize("form", ["same", "new"])
async def test_switch_regenerated_item_id(sim: Sim, form: str) -> None:
    """The new version of a single item has the same id or a new one; the other items stay."""
    await sim.switch(regenerated_item_id=form)
    post_id = await sim.finished_post("image-partial")
    items = (await sim.read(f"/generated-posts/{post_id}"))["media_items"]
    body = {"generated_media_item_id": items[-1]["id"]}
    answer = (await sim.mirror("POST", "/generate/media-item", body, expect=202)).json
    new_id = answer["generated_media_item_id"]
    assert (new_id == items[-1]["id"]) is (form == "same")
    assert (await sim.read(f"/generated-media-items/{new_id}"))["status"] == "pending"
    sim.advance(100)
    after = (await sim.read(f"/generated-posts/{post_id}"))["media_items"]
    assert [item["id"] for item in after] == [*[item["id"] for item in items[:-1]], new_id]
    assert after[-1]["status"] == "completed"


async def test_switch_rerun_shows_after_s(sim: Sim) -> None:
    """A post that runs again looks as before for so long."""
    await sim.switch(rerun_shows_after_s=30)
    post_id = await sim.finished_post("image")
    before = await sim.read(f"/generated-posts/{post_id}")
    await sim.mirror("POST", "/generate/regenerate-post", {"generated_post_id": post_id}, expect=202)
    sim.advance(29)
    assert await sim.read(f"/generated-posts/{post_id}") == before
    sim.advance(2)
    assert (await sim.read(f"/generated-posts/{post_id}"))["status"] != "completed"


async def test_switch_keep_failed_items(sim: Sim) -> None:
    """After a failed_only run the old item is still listed, or not."""
    for keep, more in ((False, 0), (True, 1)):
        await sim.switch(keep_failed_items=keep)
        post_id = await sim.finished_post("image-partial")
        before = len((await sim.read(f"/generated-posts/{post_id}"))["media_items"])
        body = {"generated_post_id": post_id, "failed_only": True}
        await sim.mirror("POST", "/generate/regenerate-post", body, expect=202)
        assert len((await sim.read(f"/generated-posts/{post_id}"))["media_items"]) == before + more


async def test_switch_clone_answer(sim: Sim) -> None:
    """The id under its full name, as `id`, or null while the source is being fetched."""
    body = {"url": "https://www.instagram.com/p/A/", "persona_id": "demo"}
    named = (await sim.mirror("POST", "/clone-url", body)).json
    await sim.read(f"/generated-posts/{named['generated_post_id']}")
    await sim.switch(clone_answer="id")
    await sim.read(f"/generated-posts/{(await sim.mirror('POST', '/clone-url', body)).json['id']}")
    await sim.switch(clone_answer="late")
    assert (await sim.mirror("POST", "/clone-url", body)).json["generated_post_id"] is None
    assert len(await sim.read("/personas/demo/generated-posts")) == 2
    sim.advance(5)
    assert len(await sim.read("/personas/demo/generated-posts")) == 3


async def test_switch_voice_words(sim: Sim) -> None:
    """The words of conversions are not documented; some of them can be set alone."""
    await sim.switch(voice_words={"working": "converting", "done": "ready"})
    seen = []
    for _ in range(3):
        seen.append((await sim.read("/generated-media-items/demo-voice"))["voice_conversion_status"])
        sim.advance(4)
    assert seen == ["pending", "converting", "ready"]


async def test_switch_delivery_words(sim: Sim) -> None:
    """Words between pending and the end."""
    await sim.switch(delivery_words=["uploading", "processing"])
    seen: dict[str, None] = {}
    for _ in range(17):
        seen[(await sim.read("/publishing/posts/demo"))["deliveries"][1]["status"]] = None
        sim.advance(0.5)
    assert list(seen) == ["pending", "uploading", "processing", "published"]


async def test_switch_deliveries_appear(sim: Sim) -> None:
    """A published post may have no deliveries for a moment."""
    assert len((await sim.read("/publishing/posts/demo-1"))["deliveries"]) == 2
    await sim.switch(deliveries_appear="later")
    assert (await sim.read("/publishing/posts/demo-2"))["deliveries"] == []
    sim.advance(4)
    assert len((await sim.read("/publishing/posts/demo-2"))["deliveries"]) == 2


async def test_switch_outgoing_words(sim: Sim) -> None:
    """The outer status can be any word."""
    await sim.switch(outgoing_words={"publishing": "draft", "published": "sent"})
    assert await _words(sim, "/publishing/posts/demo", 10) == ["draft", "sent"]


async def test_switch_approve_review_status(sim: Sim) -> None:
    """The review status between approval and the first delivery."""
    for status in ("pending_review", "approved"):
        await sim.switch(approve_review_status=status)
        post_id = await sim.finished_post()
        await sim.mirror("POST", f"/generated-posts/{post_id}/approve", expect=200)
        assert (await sim.read(f"/generated-posts/{post_id}"))["review_status"] == status


@pytest.mark.parametrize(
    ("switch", "method", "path", "body"),
    [
        ("reelbot_generate_per_hour", "POST", "/generate", VIDEO),
        ("reelbot_status_per_minute", "GET", "/status/demo", None),
        ("reelbot_download_per_hour", "GET", "/download/demo", None),
    ],
)
async def test_switch_reelbot_numbers(sim: Sim, switch: str, method: str, path: str, body: object) -> None:
    """Each call's limit is a switch."""
    await sim.switch(**{switch: 2})
    assert [(await sim.bot(method, path, body)).status == 429 for _ in range(3)] == [False, False, True]


async def test_switch_reelbot_rate_reset(sim: Sim) -> None:
    """ISO as documented, or Unix seconds."""
    assert (await sim.bot("GET", "/status/demo")).headers["X-RateLimit-Reset"] == "2027-01-15T08:01:00.000Z"
    await sim.switch(reelbot_rate_reset="s")
    assert (await sim.bot("GET", "/status/demo")).headers["X-RateLimit-Reset"] == "1800000060"


async def test_switch_reelbot_retry_after(sim: Sim) -> None:
    """Without Retry-After only `details.resetAt` is left."""
    await sim.switch(reelbot_retry_after=False, reelbot_status_per_minute=1)
    await sim.bot("GET", "/status/demo")
    refused = await sim.bot("GET", "/status/demo", expect=429)
    assert "Retry-After" not in refused.headers
    assert refused.json["details"]["resetAt"]


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_switch_reelbot_generate_status(sim: Sim, status: int) -> None:
    """The page does not say which status it is."""
    await sim.switch(reelbot_generate_status=status)
    await sim.bot("POST", "/generate", VIDEO, expect=status)


async def test_switch_reelbot_generate_envelope(sim: Sim) -> None:
    """`projectId` at the top or under `data`."""
    await sim.switch(reelbot_generate_envelope="data")
    assert (await sim.bot("POST", "/generate", VIDEO)).json["data"]["projectId"]


async def test_switch_reelbot_updated_at(sim: Sim) -> None:
    """`updatedAt` is optional."""
    await sim.switch(reelbot_updated_at=False)
    await sim.bot("GET", "/status/demo")
    sim.advance(8)
    assert "updatedAt" not in (await sim.bot("GET", "/status/demo")).json


async def test_switch_reelbot_fails_from(sim: Sim) -> None:
    """A job may fail straight from the queue."""
    await sim.switch(reelbot_fails_from="queued")
    project = (await sim.bot("POST", "/generate", VIDEO | {"topic": "fail"})).json["projectId"]
    sim.advance(30)
    assert (await sim.bot("GET", f"/status/{project}")).json["status"] == "failed"


async def test_switch_reelbot_strict_ids(sim: Sim) -> None:
    """A project id has twelve lower-case letters and digits."""
    await sim.bot("GET", "/status/abc-def", expect=404)
    await sim.switch(reelbot_strict_ids=True)
    await sim.bot("GET", "/status/abc-def", expect=400)
    await sim.bot("GET", "/status/abcdef123456", expect=404)


async def test_switch_reelbot_quota(sim: Sim) -> None:
    """Completed videos count towards the quota, failed ones do not."""
    await sim.switch(reelbot_quota=1)
    await sim.bot("POST", "/generate", VIDEO | {"topic": "fail"}, expect=200)
    sim.advance(330)
    await sim.bot("POST", "/generate", VIDEO, expect=200)
    sim.advance(330)
    refused = await sim.bot("POST", "/generate", VIDEO, expect=402)
    assert refused.json["code"] == "QUOTA_EXCEEDED"

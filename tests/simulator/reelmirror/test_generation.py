"""ReelMirror's calls as the guides print them."""

import pytest

from tests.simulator.simulator_client import KEY, OTHER_KEY, Sim

DEMO_ENDS = [
    # kind's path, id, status after 8 s
    ("/sync-jobs/", "demo-1", "completed"),
    ("/sync-jobs/", "demo-fail", "failed"),
    ("/sync-jobs/", "demo-skip", "skipped"),
    ("/generated-posts/", "demo-1", "completed"),
    ("/generated-posts/", "demo-fail", "failed"),
    ("/generated-media-items/", "demo-1", "completed"),
    ("/generated-media-items/", "demo-fail", "failed"),
    ("/publishing/posts/", "demo-1", "published"),
    ("/publishing/posts/", "demo-fail", "failed"),
    ("/publishing/posts/", "demo-partial", "partial"),
]


@pytest.mark.parametrize(("path", "job_id", "status"), DEMO_ENDS)
async def test_demo_jobs_take_eight_seconds(sim: Sim, path: str, job_id: str, status: str) -> None:
    """A demo job begins at the first read and ends eight seconds later, as its id asks."""
    first = await sim.read(path + job_id)
    assert first["status"] in ("pending", "publishing")
    sim.advance(7.9)
    assert (await sim.read(path + job_id))["status"] != status
    sim.advance(0.1)
    assert (await sim.read(path + job_id))["status"] == status


async def test_a_partial_post_names_what_failed(sim: Sim) -> None:
    """Of three items the last fails; a post's items can be read on their own."""
    await sim.read("/generated-posts/demo-partial")
    sim.advance(8)
    post = await sim.read("/generated-posts/demo-partial")
    assert [item["status"] for item in post["media_items"]] == ["completed", "completed", "failed"]
    assert await sim.read("/generated-media-items/demo-partial-item-3") == post["media_items"][2]


async def test_demo_voice_conversions_move_that_field_only(sim: Sim) -> None:
    """The item stays completed all the time."""
    seen = [await sim.read("/generated-media-items/demo-voice")]
    sim.advance(8)
    seen.append(await sim.read("/generated-media-items/demo-voice"))
    assert [item["status"] for item in seen] == ["completed", "completed"]
    assert [item["voice_conversion_status"] for item in seen] == ["pending", "completed"]


async def test_sync_ends_within_the_documented_time(sim: Sim) -> None:
    """30 s to 5 min, one job per source; a sync within 15 minutes of the last is skipped at once."""
    await sim.control("POST", "/personas", {"id": "p", "sources": 2})
    started = await sim.mirror("POST", "/personas/p/sync", expect=202)
    first, second = started.json["job_ids"]
    assert started.json["estimated_cost_cents"] == 4
    sim.advance(29)
    assert (await sim.read(f"/sync-jobs/{first}"))["status"] in ("pending", "running")
    sim.advance(271)
    assert (await sim.read(f"/sync-jobs/{second}"))["status"] == "completed"
    again = (await sim.mirror("POST", "/personas/p/sync")).json["job_ids"]
    assert (await sim.read(f"/sync-jobs/{again[0]}"))["status"] == "skipped"
    sim.advance(15 * 60)
    later = (await sim.mirror("POST", "/personas/p/sync")).json["job_ids"]
    assert (await sim.read(f"/sync-jobs/{later[0]}"))["status"] == "pending"


@pytest.mark.parametrize(
    ("source", "low_s", "high_s"),
    [
        ("image-1", 20, 90),  # guide "Webhooks", per item
        ("video-1", 60, 300),
    ],
)
async def test_generation_takes_the_documented_time(
    sim: Sim, source: str, low_s: float, high_s: float
) -> None:
    """Items end within their range, and the post with the last of them."""
    post_id = await sim.generate(source)
    sim.advance(low_s)
    running = await sim.read(f"/generated-posts/{post_id}")
    assert running["status"] == "generating"
    assert running["media_items"]
    sim.advance(high_s - low_s + 5)  # up to 5 s in the queue
    done = await sim.read(f"/generated-posts/{post_id}")
    assert done["status"] == "completed"
    assert all(item["status"] == "completed" and item["url"] for item in done["media_items"])
    assert done["review_status"] == "pending_review"


async def test_the_same_source_twice_makes_two_posts(sim: Sim) -> None:
    """Deduplication is left to the client; the list shows the newest first."""
    first = await sim.generate()
    sim.advance(1)
    second = await sim.generate()
    listed = await sim.mirror("GET", "/personas/demo/generated-posts")
    assert [post["id"] for post in listed.json["data"]] == [second, first]
    assert listed.json["count"] == 2


async def test_pages_of_a_list(sim: Sim) -> None:
    """`limit` defaults to 20, `offset` moves on, and nonsense is a 400."""
    posts = [{"kind": "generated_post", "id": f"p{n}", "persona_id": "many"} for n in range(25)]
    await sim.control("POST", "/jobs", {"jobs": posts})
    path = "/personas/many/generated-posts"
    first = await sim.read(path)
    rest = await sim.read(f"{path}?offset=20&limit=100")
    assert [post["id"] for post in [*first, *rest]] == [f"p{n}" for n in range(24, -1, -1)]
    for query in ("limit=0", "limit=x", "offset=-1"):
        assert (await sim.mirror("GET", f"{path}?{query}")).status == 400


async def test_full_regeneration_reuses_the_post(sim: Sim) -> None:
    """The old items go, new ones come, and the post is open again."""
    post_id = await sim.finished_post()
    old = await sim.read(f"/generated-posts/{post_id}")
    await sim.mirror("POST", "/generate/regenerate-post", {"generated_post_id": post_id}, expect=202)
    reopened = await sim.read(f"/generated-posts/{post_id}")
    assert (reopened["status"], reopened["media_items"]) == ("pending", [])
    await sim.mirror("GET", f"/generated-media-items/{old['media_items'][0]['id']}", expect=404)
    sim.advance(400)
    new = await sim.read(f"/generated-posts/{post_id}")
    assert new["status"] == "completed"
    assert not {item["id"] for item in new["media_items"]} & {item["id"] for item in old["media_items"]}


async def test_retrying_failed_items_keeps_the_others(sim: Sim) -> None:
    """`failed_only` names old and new ids; the second time there is nothing to retry."""
    post_id = await sim.finished_post("image-partial")
    before = (await sim.read(f"/generated-posts/{post_id}"))["media_items"]
    body = {"generated_post_id": post_id, "failed_only": True}
    started = (await sim.mirror("POST", "/generate/regenerate-post", body, expect=202)).json
    [retried] = started["retried_items"]
    assert retried["original_item_id"] == before[-1]["id"]
    assert retried["status"] == "pending"
    assert (await sim.read(f"/generated-posts/{post_id}"))["status"] == "generating"
    sim.advance(100)
    after = (await sim.read(f"/generated-posts/{post_id}"))["media_items"]
    assert after[:-1] == before[:-1]
    assert (after[-1]["id"], after[-1]["status"]) == (retried["new_item_id"], "completed")
    await sim.mirror("POST", "/generate/regenerate-post", body, expect=422)


async def test_voice_conversion_of_a_finished_video(sim: Sim) -> None:
    """It takes 30 to 120 s, leaves the post completed, and is refused for an image."""
    post_id = await sim.finished_post("video-1")
    item_id = (await sim.read(f"/generated-posts/{post_id}"))["media_items"][0]["id"]
    await sim.mirror("POST", "/generate/voice-convert", {"generated_media_item_id": item_id}, expect=202)
    sim.advance(29)
    assert (await sim.read(f"/generated-media-items/{item_id}"))["voice_conversion_status"] != "completed"
    sim.advance(91)
    post = await sim.read(f"/generated-posts/{post_id}")
    assert post["media_items"][0]["voice_conversion_status"] == "completed"
    assert post["status"] == "completed"
    image = await sim.finished_post("image-1")
    image_id = (await sim.read(f"/generated-posts/{image}"))["media_items"][0]["id"]
    refused = await sim.mirror("POST", "/generate/voice-convert", {"generated_media_item_id": image_id})
    assert refused.status == 400


async def test_deleted_is_a_404(sim: Sim) -> None:
    """A soft deletion removes a post and its items from every read."""
    post_id = await sim.finished_post()
    item_id = (await sim.read(f"/generated-posts/{post_id}"))["media_items"][0]["id"]
    await sim.mirror("DELETE", f"/generated-posts/{post_id}", expect=204)
    await sim.mirror("GET", f"/generated-posts/{post_id}", expect=404)
    await sim.mirror("GET", f"/generated-media-items/{item_id}", expect=404)
    assert (await sim.mirror("GET", "/personas/demo/generated-posts")).json == {"data": [], "count": 0}


async def test_a_deleted_item_leaves_its_post(sim: Sim) -> None:
    """The post stays, without the item."""
    await sim.read("/generated-posts/demo-1")
    sim.advance(8)
    await sim.mirror("DELETE", "/generated-media-items/demo-1-item-2", expect=204)
    items = (await sim.read("/generated-posts/demo-1"))["media_items"]
    assert [item["id"] for item in items] == ["demo-1-item-1", "demo-1-item-3"]


async def test_automation_starts_work_without_a_client(sim: Sim) -> None:
    """An auto_publish source turns a sync into a post and an outgoing post, which are visible once they begin."""
    await sim.switch(list_outgoing_posts=True)
    await sim.control("POST", "/personas", {"id": "p", "automation_mode": "auto_publish"})
    await sim.control("POST", "/automation", {"persona_id": "p"})
    assert await sim.read("/personas/p/generated-posts") == []
    sim.advance(300)
    [post] = await sim.read("/personas/p/generated-posts")
    assert post["review_status"] == "pending_review"
    assert await sim.read("/publishing/posts") == []
    sim.advance(400)
    assert (await sim.read(f"/generated-posts/{post['id']}"))["review_status"] == "published"
    [outgoing] = await sim.read("/publishing/posts")
    assert outgoing["status"] == "published"
    assert outgoing["items"][0]["generated_media_item_id"] in {
        item["id"] for item in (await sim.read(f"/generated-posts/{post['id']}"))["media_items"]
    }
    [source] = await sim.read("/personas/p/sources")
    assert source["content_count"] == 3
    assert source["last_synced_at"] is not None


async def test_transactions_name_an_accounts_work(sim: Sim) -> None:
    """Debits carry post and item ids, a failing item is refunded when it fails, and accounts are separate."""
    post_id = await sim.generate("image-partial")
    before = await sim.read("/billing/transactions")
    assert {row["generated_post_id"] for row in before} == {post_id}
    sim.advance(100)
    refund = (await sim.read("/billing/transactions"))[0]
    assert refund["amount_cents"] == 10
    assert refund["refund_of_id"] in {row["id"] for row in before}
    assert await sim.read("/billing/transactions", key=OTHER_KEY) == []


async def test_a_persona_is_built_by_calls(sim: Sim) -> None:
    """Persona, source (the second one a 409) and publishing target, as in the automation guide."""
    made = (await sim.mirror("POST", "/personas", {"name": "A"}, expect=201)).json["data"]
    path = f"/personas/{made['id']}"
    source = {"platform": "instagram", "username": "natgeo"}
    added = (await sim.mirror("POST", f"{path}/sources", source, expect=201)).json["data"]
    assert (added["handle"], added["status"]) == ("natgeo", "pending")
    conflict = await sim.mirror("POST", f"{path}/sources", source, expect=409)
    assert conflict.json["error"]["code"] == "CONFLICT"
    patch = {"automation_mode": "auto_clone"}
    await sim.mirror("PATCH", f"{path}/sources/{added['id']}", patch, expect=200)
    account = (await sim.read("/publishing/accounts"))[0]
    target = {"connected_account_id": account["id"]}
    await sim.mirror("POST", f"{path}/publishing-targets", target, expect=201)
    assert await sim.read(f"{path}/publishing-targets") == [account]
    await sim.mirror("PATCH", path, {"discount_mode": True}, expect=200)
    assert (await sim.read(path))["discount_mode"] is True


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("", 401, "UNAUTHORIZED"),
        ("rm_short", 401, "UNAUTHORIZED"),
        ("rb_live_1111222233334444", 401, "UNAUTHORIZED"),  # the other vendor's key
        (KEY, 404, "NOT_FOUND"),
    ],
)
async def test_keys_are_judged_by_their_form(sim: Sim, key: str, status: int, code: str) -> None:
    """Errors have ReelMirror's shape."""
    got = await sim.mirror("GET", "/sync-jobs/none", key=key, expect=status)
    assert set(got.json["error"]) == {"code", "message", "details"}
    assert got.json["error"]["code"] == code


async def test_bad_bodies_name_the_field(sim: Sim) -> None:
    """A missing field is a VALIDATION_ERROR."""
    got = await sim.mirror("POST", "/generate", {"persona_id": "demo"}, expect=400)
    assert got.json["error"]["code"] == "VALIDATION_ERROR"
    assert "source_post_id" in got.json["error"]["message"]

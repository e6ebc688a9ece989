"""Review and publishing."""

from datetime import UTC, datetime

from tests.simulator.simulator_client import Sim

ITEMS = [{"generated_media_item_id": "i1", "position": 0, "use_voice_converted": False}]


async def test_approving_publishes_to_every_account(sim: Sim) -> None:
    """Deliveries end within 10 to 60 s, and the first success makes the post published."""
    await sim.control("POST", "/personas", {"id": "demo", "targets": 2})
    post_id = await sim.finished_post()
    got = await sim.mirror("POST", f"/generated-posts/{post_id}/approve", expect=200)
    assert got.json["status"] == "publishing"
    path = f"/publishing/posts/{got.json['outgoing_post_id']}"
    sim.advance(9)
    assert {d["status"] for d in (await sim.read(path))["deliveries"]} <= {"pending", "publishing"}
    assert (await sim.read(f"/generated-posts/{post_id}"))["review_status"] == "pending_review"
    sim.advance(51)
    deliveries = (await sim.read(path))["deliveries"]
    assert [d["status"] for d in deliveries] == ["published", "published"]
    assert all(d["published_at"] and d["platform_post_id"] for d in deliveries)
    assert (await sim.read(f"/generated-posts/{post_id}"))["review_status"] == "published"
    assert (await sim.mirror("POST", f"/generated-posts/{post_id}/approve")).status == 409


async def test_approving_needs_an_account_and_a_finished_post(sim: Sim) -> None:
    """Without an account, or with an unfinished post, approving is a 400."""
    running = await sim.generate()
    assert (await sim.mirror("POST", f"/generated-posts/{running}/approve")).status == 400
    await sim.control("POST", "/personas", {"id": "demo", "targets": 0})
    post_id = await sim.finished_post()
    assert (await sim.mirror("POST", f"/generated-posts/{post_id}/approve")).status == 400


async def test_composing_waits_as_a_draft(sim: Sim) -> None:
    """A draft has no deliveries until it is published."""
    post_id = await sim.finished_post()
    got = await sim.mirror("POST", f"/generated-posts/{post_id}/send-to-compose", expect=200)
    path = f"/publishing/posts/{got.json['outgoing_post_id']}"
    assert (await sim.read(f"/generated-posts/{post_id}"))["review_status"] == "approved"
    sim.advance(3600)
    draft = await sim.read(path)
    assert (draft["status"], draft["deliveries"]) == ("draft", [])
    await sim.mirror("PATCH", path, {"caption": "new words"}, expect=200)
    await sim.mirror("POST", f"{path}/publish", expect=200)
    sim.advance(60)
    done = await sim.read(path)
    assert (done["caption"], done["deliveries"][0]["status"]) == ("new words", "published")
    assert (await sim.mirror("POST", f"{path}/publish")).status == 409


async def test_a_scheduled_post_begins_at_its_time(sim: Sim) -> None:
    """Nothing is delivered before `scheduled_for`, and a time in the past is refused."""
    body = {"items": ITEMS, "persona_id": "demo", "caption": "partial"}
    made = (await sim.mirror("POST", "/publishing/posts", body, expect=201)).json["data"]
    path = f"/publishing/posts/{made['id']}"
    due = datetime.fromtimestamp(sim.clock.now + 600, UTC).isoformat()
    past = datetime.fromtimestamp(sim.clock.now - 1, UTC).isoformat()
    assert (await sim.mirror("POST", f"{path}/schedule", {"scheduled_for": past})).status == 400
    await sim.mirror("POST", f"{path}/schedule", {"scheduled_for": due}, expect=200)
    sim.advance(599)
    waiting = await sim.read(path)
    assert (waiting["status"], waiting["deliveries"]) == ("scheduled", [])
    sim.advance(61)
    assert (await sim.read(path))["deliveries"][0]["status"] in ("published", "failed")


async def test_chosen_accounts_only(sim: Sim) -> None:
    """`target_account_ids` selects the accounts; an unknown one is a 400."""
    accounts = await sim.read("/publishing/accounts")
    body = {"items": ITEMS, "target_account_ids": [accounts[1]["id"]]}
    made = (await sim.mirror("POST", "/publishing/posts", body, expect=201)).json["data"]
    await sim.mirror("POST", f"/publishing/posts/{made['id']}/publish", expect=200)
    [delivery] = (await sim.read(f"/publishing/posts/{made['id']}"))["deliveries"]
    assert delivery["connected_account_id"] == accounts[1]["id"]
    unknown = {"items": ITEMS, "target_account_ids": ["nobody"]}
    assert (await sim.mirror("POST", "/publishing/posts", unknown)).status == 400


async def test_rejecting_every_item_rejects_the_post(sim: Sim) -> None:
    """Rejecting the last item rejects the post."""
    await sim.read("/generated-posts/demo-1")
    sim.advance(8)
    answers = [
        (await sim.mirror("POST", f"/generated-media-items/demo-1-item-{n}/reject", expect=200)).json
        for n in (1, 2, 3)
    ]
    assert [answer["post_auto_rejected"] for answer in answers] == [False, False, True]
    assert (await sim.read("/generated-posts/demo-1"))["review_status"] == "rejected"


async def test_rejecting_a_post(sim: Sim) -> None:
    """A rejected post cannot be reviewed again."""
    post_id = await sim.finished_post()
    await sim.mirror("POST", f"/generated-posts/{post_id}/reject", expect=200)
    assert (await sim.read(f"/generated-posts/{post_id}"))["review_status"] == "rejected"
    assert (await sim.mirror("POST", f"/generated-posts/{post_id}/approve")).status == 409


async def test_an_item_is_made_public(sim: Sim) -> None:
    """toggle-public changes one field."""
    await sim.read("/generated-media-items/demo-1")
    body = {"generated_media_item_id": "demo-1", "is_public": True}
    await sim.mirror("POST", "/generate/toggle-public", body, expect=200)
    assert (await sim.read("/generated-media-items/demo-1"))["is_public"] is True

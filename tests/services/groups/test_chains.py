"""A job with all that comes of it: its callback hears of everything on the way, and last of the whole tree."""

from typing import Any

import pytest

from bridge.domain.ids import job_key
from bridge.domain.starts.records import StartedJob
from bridge.services.following.reconcile_followed import reconcile
from bridge.services.jobs.new_events import GROUP_AFTER_MS
from bridge.services.starts.guard import note_started
from tests.e2e.processes import until
from tests.services.following.swept import Swept, post
from tests.services.groups.chained import (
    closing,
    read,
    register_chain,
    show_outgoing,
    show_post,
    told,
    tree,
)
from tests.services.groups.grouped import URL, key_of, show, shown, turn_now
from tests.services.polling.upstreams import PERSONA, POSTS, Bench


async def test_a_post_is_followed_to_its_deliveries(bench: Bench) -> None:
    """Its end, its review, the outgoing post that names its item, each delivery; then one event with the tree."""
    show_post(bench, "p", "generating")
    made = await register_chain(bench, "p", metadata={"order": "42"})
    assert (made["kind"], made["progress"]) == ("chain", {"total": 1, "ended": 0})
    assert {"generated_post.approved", "publishing_delivery.failed", "chain.ended"} <= set(made["events"])
    await read(bench, made, "generated_post", "p")
    show_post(bench, "p")
    await read(bench, made, "generated_post", "p")
    assert (await shown(bench, made))["progress"] == {"total": 1, "ended": 1}
    show_post(bench, "p", review="approved")
    show_outgoing(bench, "o", "p", "pending", "pending")
    await bench.register("o", "outgoing_post")
    await read(bench, made, "outgoing_post", "o")
    await read(bench, made, "generated_post", "p")
    assert (await shown(bench, made))["progress"] == {"total": 2, "ended": 1}
    show_outgoing(bench, "o", "p", "published", "failed")
    await read(bench, made, "outgoing_post", "o")
    event = await closing(bench)
    assert tree(event) == [
        ("generated_post", "p", None, "known", "succeeded"),
        ("outgoing_post", "o", "p", "known", "partial"),
        ("publishing_delivery", "o-0", "o", "known", "succeeded"),
        ("publishing_delivery", "o-1", "o", "known", "failed"),
    ]
    assert (event["outcome"], event["error"]["items"]) == ("partial", ["o-1"])
    assert event["data"]["jobs"][0]["review"] == "approved"
    assert (await shown(bench, made))["state"] == "ended"
    assert await told(bench, made) == [
        "generated_post.completed",
        "generated_post.approved",
        "outgoing_post.partial",
        "publishing_delivery.failed",
        "publishing_delivery.published",
        "chain.ended",
    ]
    for each in event["data"]["jobs"]:
        status, own = await bench.api.call("GET", f"/v1/events/{each['event_id']}")
        assert (status, own["job_id"], own["type"]) == (200, each["id"], each["type"])
    account = (await bench.job(key_of(made))).account
    assert await bench.api.services.store.poll.due_of(key_of(made)[0], account, key_of(made)) is None


async def test_news_of_a_member_puts_its_chain_into_the_queue(bench: Bench) -> None:
    """Also a review, which ends no job."""
    show_post(bench, "p")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    assert await bench.due_ms(key_of(made)) > bench.api.services.clock_ms() + 30_000
    show_post(bench, "p", review="approved")
    await turn_now(bench, job_key(key_of(made)[0], made["account_id"], "generated_post", "p"))
    assert await bench.due_ms(key_of(made)) <= bench.api.services.clock_ms() + GROUP_AFTER_MS


async def test_a_rejected_post_ends_its_chain(bench: Bench) -> None:
    """Nothing comes of it, which is no failure."""
    show_post(bench, "p", review="rejected")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    event = await closing(bench)
    assert (event["outcome"], event["error"], tree(event)[0][1]) == ("skipped", None, "p")
    assert await told(bench, made) == ["generated_post.completed", "generated_post.rejected", "chain.ended"]


@pytest.mark.parametrize(("status", "outcome"), [("failed", "failed")])
async def test_nothing_comes_of_a_post_that_failed(bench: Bench, status: str, outcome: str) -> None:
    """Its chain ends with it."""
    show_post(bench, "p", status)
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    event = await closing(bench)
    assert (event["outcome"], event["error"]["items"]) == (outcome, ["p"])


async def test_a_job_that_is_gone_ends_its_chain(bench: Bench) -> None:
    """Nothing comes of what was deleted."""
    show_post(bench, "p", "generating")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    del bench.upstream.answers[f"{POSTS}p"]
    await read(bench, made, "generated_post", "p")
    await read(bench, made, "generated_post", "p")
    event = await closing(bench)
    assert (event["outcome"], event["error"]["code"]) == ("deleted", "deleted")
    assert event["data"]["jobs"][0]["type"] == "generated_post.deleted"


async def test_a_published_post_without_a_link_says_so(hasty: Bench) -> None:
    """Nothing names the outgoing post, so its id and its failed deliveries are not to be had."""
    show_post(hasty, "p", review="published")
    made = await register_chain(hasty, "p")

    async def closed() -> bool:
        await read(hasty, made, "generated_post", "p")
        return bool((await shown(hasty, made))["state"] == "ended")

    await until(closed, within_s=20)
    event = await closing(hasty)
    assert tree(event)[1:] == [("outgoing_post", "", "p", "unknown", "succeeded")]
    assert event["outcome"] == "succeeded"


async def test_a_chain_that_nobody_reviews_ends_by_its_time(bench: Bench) -> None:
    """What is open then is unknown; the job's own end stands beside."""
    show_post(bench, "p")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    status, _ = await bench.api.call("PATCH", f"/v1/callbacks/{made['id']}", json={"timeout_seconds": 1})
    assert status == 200
    assert await bench.due_ms(key_of(made)) <= bench.api.services.clock_ms(), "it looks at its time at once"

    async def closed() -> bool:
        await read(bench, made, "generated_post", "p")
        return bool((await shown(bench, made))["state"] == "ended")

    await until(closed, within_s=20)
    event = await closing(bench)
    assert (event["outcome"], tree(event)) == (
        "unknown",
        [("generated_post", "p", None, "known", "succeeded")],
    )


async def test_a_filter_lets_the_closing_event_through(bench: Bench) -> None:
    """A workflow that takes one call names it alone; other types are chosen beside it."""
    show_post(bench, "p", review="rejected")
    one = await register_chain(bench, "p", events=["chain.ended"])
    two = await register_chain(bench, "p", events="generated_post.rejected", callback_url=URL)
    for each in (one, two):
        await read(bench, each, "generated_post", "p")
    assert await told(bench, one) == ["chain.ended"]
    assert await told(bench, two) == ["generated_post.rejected", "chain.ended"]


async def test_deleting_a_chain_ends_its_watches(bench: Bench) -> None:
    """Also that on a post whose review is still waited for."""
    show_post(bench, "p")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    lanes, shard = bench.api.services.store.poll, key_of(made)[0]
    assert await lanes.size(shard, made["account_id"]) == 2
    await bench.api.call("DELETE", f"/v1/callbacks/{made['id']}")
    await turn_now(bench, key_of(made))
    assert await lanes.size(shard, made["account_id"]) == 0


async def test_a_post_that_runs_again_is_open_again(bench: Bench) -> None:
    """The tree shows the run that ended last."""
    show_post(bench, "p")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    show_post(bench, "p", "generating")
    await read(bench, made, "generated_post", "p")
    assert (await shown(bench, made))["progress"] == {"total": 1, "ended": 0}
    show_post(bench, "p", review="rejected")
    await read(bench, made, "generated_post", "p")
    event = await closing(bench)
    assert event["data"]["jobs"][0]["run"] == 2
    assert (await told(bench, made)).count("generated_post.completed") == 2


async def test_a_sync_is_followed_to_the_posts_that_begin_after_it(swept: Swept) -> None:
    """Nothing names them: those of its persona count that begin until a while after its end, and are marked as inferred."""
    bench = swept.bench
    swept.show(post("old"))
    await swept.sweep()
    show(bench, "s", "running")
    made = await register_chain(bench, "s", "sync_job", persona_id=PERSONA)
    show(bench, "s")
    await read(bench, made, "sync_job", "s")
    swept.show(post("new", review_status="rejected"), post("old"))
    await swept.sweep()
    await read(bench, made, "generated_post", "new")
    assert (await shown(bench, made))["progress"] == {"total": 2, "ended": 2}
    assert (await shown(bench, made))["state"] == "watching", "another post may still begin"
    waiting = await bench.api.services.store.chains.waiting(swept.account, now_ms=0)
    assert waiting == {PERSONA: [key_of(made)]}
    job = await bench.job(key_of(made))
    (member,) = [each for each in job.members if each.kind == "generated_post"]
    assert (member.id, member.link) == ("new", "inferred")


async def test_a_persona_is_followed_for_a_chain_alone(bench: Bench) -> None:
    """Its sweeps begin with the chain and end with it, without any endpoint."""
    show(bench, "s", "running")
    made = await register_chain(bench, "s", "sync_job", persona_id=PERSONA)
    await read(bench, made, "sync_job", "s")
    services = bench.api.services
    await reconcile(services)
    assert set(await services.store.following.load(made["account_id"])) == {PERSONA}
    await bench.api.call("DELETE", f"/v1/callbacks/{made['id']}")
    await reconcile(services)
    assert await services.store.following.load(made["account_id"]) == {}


async def test_an_approval_that_passed_links_the_outgoing_post(bench: Bench) -> None:
    """Its answer names the outgoing post, which nobody has registered."""
    show_post(bench, "p")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    services = bench.api.services
    account = await services.store.accounts.get(made["account_id"])
    assert account is not None
    await note_started(services, account, (StartedJob(kind="outgoing_post", id="o", parent="p"),))
    show_outgoing(bench, "o", "p", "published")
    await turn_now(bench, key_of(made))
    assert (await shown(bench, made))["progress"] == {"total": 2, "ended": 1}
    await read(bench, made, "outgoing_post", "o")
    event = await closing(bench)
    assert [each[:3] for each in tree(event)] == [
        ("generated_post", "p", None),
        ("outgoing_post", "o", "p"),
        ("publishing_delivery", "o-0", "o"),
    ]


async def test_a_list_of_outgoing_posts_is_looked_in_where_there_is_one(bench: Bench) -> None:
    """It is not documented: it is tried once a review says that the post was passed and nothing names the outgoing post."""
    listed = {"id": "o", "items": [{"id": "x", "generated_media_item_id": "p-i"}], "deliveries": []}
    bench.upstream.lay("/v1/publishing/posts", {"data": [{"id": "q", "items": []}, listed], "count": 2})
    show_post(bench, "p")
    made = await register_chain(bench, "p")
    await read(bench, made, "generated_post", "p")
    assert "/v1/publishing/posts" not in bench.upstream.asked
    show_post(bench, "p", review="approved")
    await read(bench, made, "generated_post", "p")
    assert (await shown(bench, made))["progress"]["total"] == 2
    show_outgoing(bench, "o", "p", "published")
    await read(bench, made, "outgoing_post", "o")
    assert [each[:4] for each in tree(await closing(bench))][1] == ("outgoing_post", "o", "p", "known")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "outgoing_post", "id": "o"}, "follow"),
        ({"job_ids": ["a", "b"]}, "follow"),
        ({"job_ids": ["a", "b"], "wait_for": "all"}, "follow"),
        ({"job_id": "a", "events": ["reelbot_video.completed"]}, "events"),
    ],
)
async def test_what_cannot_be_followed_is_refused(bench: Bench, fields: dict[str, Any], field: str) -> None:
    """The message names the field."""
    body = {"callback_url": "inbox:", "follow": True, **fields}
    status, answer = await bench.api.call("POST", "/v1/callbacks", json=body)
    assert (status, answer["error"]["details"]["field"]) == (400, field)

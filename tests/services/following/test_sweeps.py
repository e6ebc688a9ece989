"""Following a persona: what its sweeps tell of posts that nobody registered, and what they keep to themselves."""

import asyncio

import pytest

from bridge.domain.starts.records import StartedJob
from bridge.errors import NotFound
from bridge.services.following.reconcile_followed import reconcile
from bridge.services.jobs.last_seen import get_job
from bridge.services.starts.guard import note_started
from tests.services.endpoints.standing import create
from tests.services.following.swept import Swept, post
from tests.services.polling.upstreams import GONE, LIST, POSTS

DONE = "generated_post.completed"


async def test_the_first_sweep_is_a_baseline(swept: Swept) -> None:
    """Posts that had ended are not told; one that runs is watched, and its end is told from the list's row."""
    assert (await swept.state())["state"] == "starting"
    swept.show(post("new", "generating"), post("old"))
    assert await swept.sweep() == [LIST]
    assert (await swept.state())["state"] == "following"
    assert [each for each in await swept.heard() if each[0] == DONE] == []
    swept.show(post("new"), post("old"))
    assert await swept.sweep() == [LIST], "no read of the post itself"
    assert [each for each in await swept.heard() if each[0] == DONE] == [(DONE, "new", 1)]
    await swept.sweep()
    assert [each for each in await swept.heard() if each[0] == DONE] == [(DONE, "new", 1)]


async def test_posts_started_elsewhere_are_told(swept: Swept) -> None:
    """Also one that began and ended between two sweeps; the endpoint has a delivery of each end."""
    swept.show(post("old"))
    await swept.sweep()
    swept.show(post("quick"), post("slow", "generating"), post("old"))
    await swept.sweep()
    swept.show(post("quick"), post("slow"), post("old"))
    await swept.sweep()
    ends = [(DONE, "quick", 1), (DONE, "slow", 1)]
    assert [each for each in await swept.heard() if each[0] == DONE] == ends
    _, page = await swept.bench.api.call("GET", f"/v1/deliveries?endpoint_id={swept.endpoint}")
    assert len(page["data"]) == len(await swept.heard()), "one delivery of each event"
    _, listed = await swept.bench.api.call("GET", "/v1/callbacks")
    assert listed["data"] == [], "what keeps a followed post watched is nobody's callback"


async def test_a_regenerated_post_is_a_new_run(swept: Swept) -> None:
    """Seen running or not, of the baseline or not."""
    swept.show(post("base", item="a"), post("seen", item="a"))
    await swept.sweep()
    swept.show(post("base", item="b"), post("seen", "generating", item="b"))
    await swept.sweep()
    swept.show(post("base", item="b"), post("seen", item="b"))
    await swept.sweep()
    assert [each for each in await swept.heard() if each[0] == DONE] == [(DONE, "base", 2), (DONE, "seen", 2)]


@pytest.mark.parametrize("word", ["approved", "rejected", "published"])
async def test_a_review_that_moved_is_an_event(swept: Swept, word: str) -> None:
    """Its post had ended before it was followed: that end is not told."""
    swept.show(post("base"))
    await swept.sweep()
    swept.show(post("base", review_status=word))
    await swept.sweep()
    await swept.sweep()
    assert await swept.heard() == [(f"generated_post.{word}", "base", 1)]


async def test_a_post_that_leaves_the_list_is_deleted_only_after_two_404s(swept: Swept) -> None:
    """One that can still be read is not: nothing is told of it."""
    swept.show(post("gone"), post("hidden"), post("kept"))
    swept.bench.upstream.lay(POSTS + "hidden", {"data": post("hidden")})
    swept.bench.upstream.lay(POSTS + "gone", GONE, status=404)
    await swept.sweep()
    swept.show(post("kept"))
    await swept.sweep()
    asked: list[str] = []
    lanes, services = swept.bench.api.services.store.poll, swept.bench.api.services
    async with asyncio.timeout(20):
        while not await swept.heard():
            await lanes.unblock(services.store.shard_of(swept.account), swept.account, due_all=True)
            asked += await swept.bench.turn()
    assert asked.count(POSTS + "gone") == 2
    assert POSTS + "hidden" in asked
    assert await swept.heard() == [("generated_post.deleted", "gone", 1)]


@pytest.mark.parametrize("status", [404, 403, 405])
async def test_a_list_that_is_not_to_be_had_is_said_once(swept: Swept, status: int) -> None:
    """The endpoint tells why, and the list is asked for once a day."""
    swept.bench.upstream.lay(LIST, {"error": {"code": "X", "message": "no"}}, status=status)
    await swept.sweep()
    shown = await swept.state()
    assert shown["state"] == "unavailable"
    assert str(status) in shown["reason"]
    _, account = await swept.bench.api.call("GET", f"/v1/accounts/{swept.account}")
    (row,) = account["following"]
    assert (row["persona"], row["interval_seconds"], row["state"]) == ("n1", 86400.0, "unavailable")
    assert account["state"] == "ok", "reads of registered posts go on"
    assert account["budget"]["watched_jobs"] == 0


async def test_following_ends_with_the_endpoint(swept: Swept) -> None:
    """What was known is forgotten: who follows the persona again gets a new baseline."""
    swept.show(post("one"))
    await swept.sweep()
    await swept.bench.api.call("DELETE", f"/v1/endpoints/{swept.endpoint}")
    await reconcile(swept.bench.api.services)
    store = swept.bench.api.services.store
    assert await store.following.load(swept.account) == {}
    assert await store.poll.size(store.shard_of(swept.account), swept.account) == 0


async def test_all_personas_are_those_of_the_list(swept: Swept) -> None:
    """Each begins with a baseline of its own; one that the list has lost is followed no more."""
    await swept.bench.api.call("PATCH", f"/v1/endpoints/{swept.endpoint}", json={"personas": "*"})
    services = swept.bench.api.services
    await reconcile(services)
    swept.bench.upstream.lay("/v1/personas", {"data": [{"id": "n1"}, {"id": "n2"}], "count": 2})
    swept.bench.upstream.lay("/v1/personas", {"data": [{"id": "n2"}], "count": 1})
    assert await swept.sweep("*") == ["/v1/personas"]
    await reconcile(services)
    assert sorted(await services.store.following.load(swept.account)) == ["*", "n1", "n2"]
    await swept.sweep("*")
    await reconcile(services)
    assert sorted(await services.store.following.load(swept.account)) == ["*", "n2"]


async def test_what_comes_of_a_passed_post_is_watched(swept: Swept) -> None:
    """Where an endpoint hears of such jobs, and an answer that passed has told its id."""
    services = swept.bench.api.services
    account = await services.store.accounts.get(swept.account)
    assert account is not None
    swept.show(post("p"), post("q"))
    await swept.sweep()
    for parent in ("p", "q"):
        child = StartedJob(kind="outgoing_post", id=f"{parent}-o", parent=parent)
        await note_started(services, account, (child,))
    swept.show(post("p", review_status="approved"), post("q"))
    await swept.sweep()
    with pytest.raises(NotFound):  # the only endpoint asks for posts alone
        await get_job(services, account.project, "outgoing_post", "p-o")
    await create(swept.bench, events=["outgoing_post.*"])
    swept.show(post("p", review_status="published"), post("q", review_status="rejected"))
    await swept.sweep()
    job, _, _ = await get_job(services, account.project, "outgoing_post", "p-o")
    assert (job.kind, job.id) == ("outgoing_post", "p-o")
    with pytest.raises(NotFound):  # nothing comes of what was rejected
        await get_job(services, account.project, "outgoing_post", "q-o")

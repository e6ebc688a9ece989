"""An endpoint that is held back, because its URL keeps failing, in the pages."""

from bridge.domain.deliveries.outcome import REFUSED
from bridge.store.commit import Change, Due
from bridge.store.queue import breaker_keys
from bridge.store.queue.lanes import Settled
from tests.api.serving import Client
from tests.dashboard.visitor import Visitor


async def fail(api: Client, lane: str) -> None:
    """Let the attempt of a delivery to a URL fail for which nine have failed before, the last one a minute ago."""
    store = api.services.store
    shard = store.shards[0]
    seconds = await store.time_ms() // 1000 - 60
    await store.redis.zadd(breaker_keys.streaks(shard), {lane: seconds * 1000 + 9})
    await store.committer.commit(Change(shard, (), (Due("dlv", lane, "dlv_x", 0, "sooner"),)))
    claim = await store.dlv.claim(shard, [(lane, 9)], most=1, page=1, lease_ms=60_000)
    settled = [Settled(lane, each.member, claim.token, 0, outcome=REFUSED) for each in claim.items]
    await store.dlv.settle(shard, settled)


async def test_an_endpoint_that_is_held_back_says_so_and_can_be_tried_at_once(
    api: Client, visitor: Visitor
) -> None:
    """In the list and on its page, which has a button that opens the way."""
    form = (await visitor.get("/endpoints")).form("/endpoints")
    made = await visitor.send(form, url="https://hooks.example.com/a")
    at = made.headers["Location"].partition("?")[0]
    assert "held back" not in (await visitor.get("/endpoints")).text
    (endpoint,) = (await api.services.store.endpoints.read("prj_default")).by_id.values()
    await fail(api, endpoint.lane)
    assert "held back" in (await visitor.get("/endpoints")).text
    page = await visitor.get(at)
    assert "It has failed 10 times in a row" in page.text
    assert "Try it now" in page.text
    button = next(each for each in page.forms if each["to"] == at and each.get("enabled") == "true")
    await visitor.send(button)
    assert "held back" not in (await visitor.get(at)).text

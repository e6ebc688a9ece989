"""A generated post, its review, and the outgoing post that publishes it, as the provider shows them."""

from typing import Any

from bridge.domain.ids import job_key
from tests.services.groups.grouped import key_of, turn_now
from tests.services.polling.upstreams import PERSONA, POSTS, Bench

OUTGOING = "/v1/publishing/posts/"


def show_post(
    bench: Bench, job_id: str, status: str = "completed", *, review: str = "pending_review"
) -> None:
    """Let the provider show a generated post with one item from now on."""
    items = [{"id": f"{job_id}-i", "status": status, "media_type": "image"}]
    lay(bench, POSTS + job_id, id=job_id, status=status, review_status=review, media_items=items)


def show_outgoing(bench: Bench, job_id: str, post: str, *deliveries: str) -> None:
    """Let the provider show an outgoing post of a generated one, with a delivery in each of some states."""
    rows = [{"id": f"{job_id}-{n}", "status": status} for n, status in enumerate(deliveries)]
    items = [{"id": f"{job_id}-i", "generated_media_item_id": f"{post}-i", "position": 0}]
    lay(bench, OUTGOING + job_id, id=job_id, status="publishing", items=items, deliveries=rows)


def lay(bench: Bench, path: str, **shown: Any) -> None:
    bench.upstream.answers.pop(path, None)
    bench.upstream.lay(path, {"data": {"persona_id": PERSONA, **shown}})


async def register_chain(
    bench: Bench, job_id: str, kind: str = "generated_post", **fields: Any
) -> dict[str, Any]:
    """Register a job with all that comes of it; return the callback."""
    return await bench.api.register(kind=kind, id=job_id, follow=True, **fields)


async def read(bench: Bench, chain: dict[str, Any], kind: str, job_id: str) -> None:
    """Read a job of a chain now, then let the chain look at it, twice where it finds something new."""
    key = key_of(chain)
    account = (await bench.job(key)).account
    await turn_now(bench, job_key(key[0], account, kind, job_id))
    await turn_now(bench, key)
    await turn_now(bench, key)


async def told(bench: Bench, chain: dict[str, Any]) -> list[str]:
    """Return the types of the events that a chain's callback has deliveries of, oldest first."""
    _, page = await bench.api.call("GET", f"/v1/deliveries?callback_id={chain['id']}&limit=100")
    store = bench.api.services.store
    events = [await store.load_event(each["event_id"]) for each in page["data"]]
    return [each.type for each in sorted(filter(None, events), key=lambda each: (each.at_ms, each.type))]


async def closing(bench: Bench) -> dict[str, Any]:
    """Return the one closing event of a chain."""
    _, page = await bench.api.call("GET", "/v1/events?type=chain.ended")
    (event,) = page["data"]
    return dict(event)


def tree(event: dict[str, Any]) -> list[tuple[str, str, str | None, str, str]]:
    """Return (kind, id, parent's id, link, outcome) of the jobs in a closing event."""
    return [
        (each["kind"], each["id"], each["parent"] and each["parent"]["id"], each["link"], each["outcome"])
        for each in event["data"]["jobs"]
    ]

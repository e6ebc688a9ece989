"""What must be true in the end: every callback got its ending event, and got it once."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from tests.e2e.crash.killable_service import Kill, Service
from tests.e2e.crash.received_posts import Post, ReceivedPosts
from tests.e2e.crash.registrar import RegisteredCallback, Registrar
from tests.e2e.processes import until

NOTHING = {"polls": 0, "deliveries": 0, "endpoints": 0, "resealed": 0, "listed": 0}
MAX_READ_DELAY_S = 0.5  # so long may a request take from its arrival to its being read ...
MAX_RECORD_DELAY_S = 3.0  # ... and its answer to its record, on a loaded machine
MAX_WRITE_DELAY_S = 3.0  # the store may put a write off for 2 s while an fsync runs, and answers all the same


async def wait_all_delivered(
    registrar: Registrar, received: ReceivedPosts, *, within_s: float = 60.0
) -> None:
    """Wait until every acknowledged callback has had its ending."""

    async def heard() -> bool:
        return registrar.count_waiting() == 0

    try:
        await until(heard, within_s=within_s, every_s=0.1)
    except AssertionError:
        silent = [each for hook, each in registrar.watched.items() if hook not in received.first_at]
        raise AssertionError(f"{len(silent)} never heard, such as {silent[:5]}") from None


async def wait_settled(service: Service, registrar: Registrar, *, within_s: float = 60.0) -> dict[str, Any]:
    """Wait until every delivery since the registrar began has succeeded; give them by callback."""

    async def settled() -> list[dict[str, Any]]:
        found = await list_since(service, "/v1/deliveries", registrar.began_ms)
        found = [each for each in found if each["destination"] != "inbox:"]
        return found if {"succeeded"} == {each["state"] for each in found} else []

    found: list[dict[str, Any]] = await until(settled, within_s=within_s, every_s=0.25)
    by_callback = {each["callback_id"]: each for each in found}
    assert len(by_callback) == len(found), "a callback has two deliveries"
    return by_callback


async def list_since(service: Service, path: str, since_ms: int) -> list[dict[str, Any]]:
    """List what was made since a time, newest first."""
    since = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat()
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        status, page = await service.bridge.call("GET", f"{path}?limit=100{cursor}")
        assert status == 200, page
        recent = [each for each in page["data"] if (each.get("created_at") or each["timestamp"]) >= since]
        found += recent
        if not page["next_cursor"] or len(recent) < len(page["data"]):
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def check_all_ended(service: Service, registrar: Registrar, received: ReceivedPosts) -> dict[str, int]:
    """Wait until nothing is under way; every callback then has `ended`, by one event, once; give the doubles by cause."""
    deliveries = await wait_settled(service, registrar)
    registered = {each.id for each in registrar.watched.values()}
    assert not registered - deliveries.keys(), "told without a delivery"
    assert not deliveries.keys() - registered, [deliveries[each] for each in deliveries.keys() - registered]
    callbacks = await list_since(service, "/v1/callbacks", registrar.began_ms)
    states = {each["id"]: each["state"] for each in callbacks if each["callback_url"] != "inbox:"}
    assert states == dict.fromkeys(registered, "ended")
    return check_no_doubles(registrar, received, service.kills, deliveries)


def check_no_doubles(
    registrar: Registrar, received: ReceivedPosts, kills: Sequence[Kill], deliveries: dict[str, Any]
) -> dict[str, int]:
    """Check that no event was delivered twice, except where the answer to the first attempt was lost."""
    doubles: dict[str, int] = defaultdict(int)
    facts: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_hook = received.by_hook()
    assert by_hook.keys() == registrar.watched.keys()
    for watched in registrar.watched.values():
        posts = by_hook[watched.hook]
        assert {watched.ending} == {each.type for each in posts}, (watched, posts)
        for cause in _explain(watched, posts, kills, deliveries[watched.id]):
            doubles[cause] += 1
        for post in posts:
            facts[post.job, post.type].add(post.event)
    assert all(len(ids) == 1 for ids in facts.values()), "a fact has two ids"
    ids = [next(iter(found)) for found in facts.values()]
    assert len(set(ids)) == len(ids), "two facts have one id"
    return dict(doubles)


def _explain(
    watched: RegisteredCallback, posts: Sequence[Post], kills: Sequence[Kill], delivery: dict[str, Any]
) -> list[str]:
    """Give the cause of each POST too many: its answer came too late, or a kill kept it from being recorded.

    A recorded 2xx is final, so that only POSTs without a record may have been repeated.
    """
    unanswered = [each for each in delivery["attempts"] if each["status"] is None]
    assert delivery["attempt_count"] - len(unanswered) == 1, delivery
    causes = [each["reason"] for each in unanswered][: len(posts) - 1]
    lost = [find_excuse(each, kills) for each in posts[:-1]]
    causes += sorted(filter(None, lost))[: len(posts) - 1 - len(causes)]
    assert len(causes) == len(posts) - 1, f"doubled: {watched}\n{posts}\nkills {kills}\n{delivery}"
    return causes


class Sent(Protocol):
    """A POST: when it arrived, and when its answer was sent."""

    @property
    def arrived_at(self) -> float: ...
    @property
    def answered_at(self) -> float: ...


def find_excuse(post: Sent, kills: Sequence[Kill]) -> str:
    """Name the kill that can have kept a POST's answer from being recorded; empty: none can."""
    for kill in kills:
        sent_before = post.arrived_at - MAX_READ_DELAY_S <= kill.ended
        if (
            kill.victim in ("worker", "all")
            and sent_before
            and kill.began <= post.answered_at + MAX_RECORD_DELAY_S
        ):
            return kill.victim
        if kill.victim == "store" and post.answered_at <= kill.began <= post.answered_at + MAX_WRITE_DELAY_S:
            return kill.victim
    return ""

"""Origins take turns, and each one's own order stays."""

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.deliveries.lanes import read_origin
from bridge.store import keys
from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.lanes import Settled
from tests.api.serving import Client, make_settings, serving
from tests.store.conftest import Server
from workers.feeder import PAGE
from workers.handlers.deliver import MOST_VISITED, DeliverHandler
from workers.turns import in_turns

MOST_LOOKS_BETWEEN = 5
LOOKS_UNTIL_SEEN = 50


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


def url(origin: str, number: int, project: str = "prj_a") -> str:
    return f"{project} https://{origin}.example:443 {number:016x}"


def test_one_url_of_each_origin_comes_before_a_second_one_of_any() -> None:
    many, few, last = ([url(name, n) for n in range(count)] for name, count in (("m", 4), ("f", 2), ("l", 1)))
    mixed = in_turns([*many, *few, *last], str)
    assert mixed == [many[0], few[0], last[0], many[1], few[1], many[2], many[3]]


def test_an_origin_counts_once_for_each_project_and_an_inbox_for_its_own() -> None:
    own, other, inbox = url("m", 1), url("m", 2, "prj_b"), "prj_a inbox:"
    old = ["? https://m.example:443", "? https://l.example:443"]  # lanes of version 0.1
    assert in_turns([own, url("m", 3), other, inbox, *old], str) == [own, other, inbox, *old, url("m", 3)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9))))
def test_nothing_is_lost_and_no_origin_waits_for_a_second_turn_of_another(
    wanted: list[tuple[str, int]],
) -> None:
    lanes = [url(*each) for each in wanted]
    mixed = in_turns(lanes, str)
    assert sorted(mixed) == sorted(lanes)
    turns: list[int] = []
    for number, lane in enumerate(mixed):
        origin = lane.split(" ")[1]
        turns.append(sum(each.split(" ")[1] == origin for each in mixed[:number]))
    assert turns == sorted(turns)


@pytest.mark.parametrize(("room", "visited"), [(0, PAGE), (300, 300), (999, MOST_VISITED)])
async def test_a_part_of_many_due_urls_is_visited_from_all_origins_in_turns(
    api: Client, room: int, visited: int
) -> None:
    """Without room for suspects too: URLs that answer need none."""
    handler = DeliverHandler(api.services, suspects_at_most=room)
    due = [("a", url(f"h{number // 100}", number)) for number in range(500)]
    seen = handler.choose(due)
    assert len(seen) == len(set(seen)) == visited
    assert {lane.split(" ")[1] for _, lane in seen[:5]} == {f"https://h{n}.example:443" for n in range(5)}


async def test_few_due_urls_are_all_visited_in_their_order(api: Client) -> None:
    handler = DeliverHandler(api.services, suspects_at_most=9)
    due = [("a", url("one", number)) for number in range(200)]
    assert handler.choose(due) == due


async def test_an_origin_with_many_urls_is_served_while_many_others_are_due(api: Client) -> None:
    """Its URLs whose turn it is are due after all those that wait for one, which are not visited for ever first.

    It takes turns with the others, whose items fill all looks but the last ones.
    """
    lanes = api.services.store.dlv
    many = [url("many", number) for number in range(900)]
    others = [url(f"h{number}", 0) for number in range(250)]
    redis, now_ms = api.services.store.redis, await api.services.store.time_ms()
    known = {read_origin(lane): now_ms for lane in (many[0], *others)}
    await redis.hset(keys.proven("a"), mapping=known)  # type: ignore[misc]  # redis-py types both clients at once
    await make_due(redis, [(lane, 1) for lane in many])
    handler = DeliverHandler(api.services, suspects_at_most=200)
    served: list[int] = []
    unseen = [len(many)]  # URLs of it that were not visited yet
    left = set(many)
    for _ in range(300):
        due = [(shard, lane) for shard, lane, wake in await lanes.peek(limit=1_000) if wake <= now_ms]
        chosen = [lane for _, lane in handler.choose(due)]
        left.difference_update(chosen)
        unseen.append(len(left))
        visited = await handler.cap_lanes("a", chosen)
        claim = await lanes.claim("a", visited, most=400, page=1, lease_ms=60_000)
        await handler.load("a", claim)
        now_ms = claim.now_ms
        settled = [Settled(each.lane, each.member, claim.token, None, outcome="g") for each in claim.items]
        assert await lanes.settle("a", settled) == []
        served.append(sum("//many." in each.lane for each in claim.items))
        if not served[1:]:
            await make_due(redis, [(lane, 90) for lane in others])
    assert sum(served) == 900
    looks_with_some = [number for number, count in enumerate(served) if count]
    assert max(later - each for each, later in pairwise(looks_with_some)) <= MOST_LOOKS_BETWEEN
    assert unseen.index(0) < LOOKS_UNTIL_SEEN


async def make_due(redis: Any, lanes: Sequence[tuple[str, int]]) -> None:
    ops = [Due("dlv", lane, f"{lane} {n}", 0, "absent") for lane, count in lanes for n in range(count)]
    for start in range(0, len(ops), 500):
        change = Change("a", (), ops[start : start + 500])
        assert await Committer(redis, aof=False).commit(change) == "done"


@pytest.mark.parametrize(("lanes", "of_each"), [(1, 1024), (39, 26), (40, 5), (500, 2), (3000, 1)])
async def test_of_many_urls_half_of_the_slots_are_left_to_the_next_page(
    api: Client, lanes: int, of_each: int
) -> None:
    """And of few all are taken: a page of some items would not be worth its round trips."""
    assert DeliverHandler(api.services, suspects_at_most=9).share_claim(1024, lanes) == (1024, of_each)

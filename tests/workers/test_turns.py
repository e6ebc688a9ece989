"""Origins take turns, and each one's own order stays."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.serving import Client, make_settings, serving
from tests.store.conftest import Server
from workers.handlers.deliver import DeliverHandler
from workers.turns import in_turns


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
    assert in_turns([own, url("m", 3), other, inbox], str) == [own, other, inbox, url("m", 3)]


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


@pytest.mark.parametrize(("room", "chosen"), [(0, 200), (150, 200), (300, 300), (999, 500)])
async def test_no_more_urls_are_visited_than_there_is_room_for_but_always_some(
    api: Client, room: int, chosen: int
) -> None:
    """Without room too: URLs that answer need none."""
    handler = DeliverHandler(api.services, suspects_at_most=room)
    due = [("a", url(f"h{number % 5}", number)) for number in range(500)]
    seen = handler.choose(due)
    assert len(seen) == len(set(seen)) == chosen
    assert {lane.split(" ")[1] for _, lane in seen[:5]} == {f"https://h{n}.example:443" for n in range(5)}


async def test_few_due_urls_are_all_visited_in_their_order(api: Client) -> None:
    handler = DeliverHandler(api.services, suspects_at_most=9)
    due = [("a", url("one", number)) for number in range(200)]
    assert handler.choose(due) == due


@pytest.mark.parametrize(("lanes", "of_each"), [(1, 1024), (39, 26), (40, 5), (500, 2), (3000, 1)])
async def test_of_many_urls_half_of_the_slots_are_left_to_the_next_page(
    api: Client, lanes: int, of_each: int
) -> None:
    """And of few all are taken: a page of some items would not be worth its round trips."""
    assert DeliverHandler(api.services, suspects_at_most=9).share_claim(1024, lanes) == (1024, of_each)

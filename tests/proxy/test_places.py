"""Places that projects share: one alone gets most of them, never all, and who waits gets the next one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.proxy.places import Places


def take_all(places: Places, project: str) -> int:
    """Take as many places as a project gets."""
    count = 0
    while places.take(project):
        count += 1
    return count


@pytest.mark.parametrize(("most", "share", "alone", "second"), [(96, 2, 64, 22), (250, 4, 200, 40)])
def test_one_project_alone_leaves_places_to_the_next(most: int, share: int, alone: int, second: int) -> None:
    """And the next one leaves some to a third."""
    places = Places(most, share=share)
    assert [take_all(places, name) for name in ("a", "b")] == [alone, second]
    assert places.take("c")


@given(st.lists(st.sampled_from("aaaabbc"), min_size=1, max_size=200))
def test_what_is_given_back_can_be_taken_again(order: str) -> None:
    """No place is lost, and there are never more in use than there are."""
    places, held = Places(12, share=2), list[str]()
    for project in order:
        if places.take(project):
            held.append(project)
        elif held:
            places.give_back(held.pop(0))
        assert len(held) <= 12
    for project in held:
        places.give_back(project)
    assert take_all(places, "a") == 8


async def test_who_waits_gets_the_next_place_that_may_be_had() -> None:
    """In the order of their coming; a project that holds many lets another pass."""
    places = Places(3, share=2)
    assert take_all(places, "a") == 2
    first, other = (asyncio.create_task(places.wait(each, within_s=10)) for each in ("a", "b"))
    assert await other
    assert not first.done()
    places.give_back("a")
    assert await first


async def test_a_wait_ends_in_time_or_with_its_task() -> None:
    """Neither leaves anything behind that would take a place later."""
    places = Places(3, share=2)
    assert take_all(places, "a") == 2
    assert not await places.wait("a", within_s=0.01)
    waiting = asyncio.create_task(places.wait("a", within_s=10))
    granted = asyncio.create_task(places.wait("a", within_s=10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))
    places.give_back("a")
    granted.cancel()
    await asyncio.wait((granted,))
    assert places.take("a")

"""Neighbours: how many watched jobs a list is known to show."""

import pytest

from bridge.services.polling.list_membership import (
    KEPT_S,
    LOST_S,
    MOST_LISTS,
    MOST_LOOKS,
    PRUNED_S,
    Neighbours,
)


@pytest.fixture
def now() -> list[float]:
    """A hand clock in seconds."""
    return [1000.0]


@pytest.fixture
def neighbours(now: list[float]) -> Neighbours:
    return Neighbours(clock_s=lambda: now[0])


def test_each_job_counts_once_on_its_list(neighbours: Neighbours) -> None:
    """By account: two accounts' lists of the same name are two."""
    for key in ("a", "b", "a"):
        neighbours.meet("x", "/posts", key)
    neighbours.meet("y", "/posts", "c")
    assert [neighbours.count(*place) for place in (("x", "/posts"), ("y", "/posts"), ("x", "/other"))] == [
        2,
        1,
        0,
    ]


def test_what_was_not_met_lately_is_forgotten(neighbours: Neighbours, now: list[float]) -> None:
    """A job that is met again stays."""
    neighbours.meet("x", "/posts", "ended")
    neighbours.meet("x", "/posts", "waits")
    now[0] += KEPT_S
    assert neighbours.count("x", "/posts") == 2
    neighbours.meet("x", "/posts", "waits")
    now[0] += PRUNED_S
    assert neighbours.ids("x", "/posts") == {"waits"}
    now[0] += KEPT_S
    assert neighbours.count("x", "/posts") == 0


def test_memory_is_bounded(neighbours: Neighbours) -> None:
    """Beyond ten thousand lists all is met anew; a known list is no further one."""
    for number in range(MOST_LISTS):
        neighbours.meet("x", f"/{number}", "a")
    neighbours.meet("x", "/0", "b")
    assert neighbours.count("x", "/0") == 2
    neighbours.meet("x", "/more", "a")
    assert (neighbours.count("x", "/0"), neighbours.count("x", "/more")) == (0, 1)


def test_a_job_that_no_page_shows_is_lost_for_a_while(neighbours: Neighbours, now: list[float]) -> None:
    """Until a page shows it, or until it is looked for again."""
    for _ in range(MOST_LOOKS - 1):
        neighbours.lose("x", "/posts", "a")
    assert not neighbours.is_lost("x", "/posts", "a")
    neighbours.lose("x", "/posts", "a")
    assert neighbours.is_lost("x", "/posts", "a")
    neighbours.find("x", "/posts", "a")
    assert not neighbours.is_lost("x", "/posts", "a")
    neighbours.lose("x", "/posts", "a", looks=MOST_LOOKS)
    now[0] += LOST_S
    assert not neighbours.is_lost("x", "/posts", "a")

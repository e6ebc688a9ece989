"""List membership: how many watched jobs a list is known to show."""

import pytest

from bridge.services.polling.list_membership import (
    MAX_LISTS,
    MAX_MISSES,
    MEMBER_S,
    MISSING_S,
    PRUNE_EVERY_S,
    ListMembership,
)


@pytest.fixture
def now() -> list[float]:
    """A clock in seconds that the test sets."""
    return [1000.0]


@pytest.fixture
def list_membership(now: list[float]) -> ListMembership:
    return ListMembership(clock_s=lambda: now[0])


def test_each_job_counts_once_on_its_list(list_membership: ListMembership) -> None:
    """By account: two accounts' lists of the same name are two."""
    for key in ("a", "b", "a"):
        list_membership.add("x", "/posts", key)
    list_membership.add("y", "/posts", "c")
    assert [
        list_membership.count(*place) for place in (("x", "/posts"), ("y", "/posts"), ("x", "/other"))
    ] == [
        2,
        1,
        0,
    ]


def test_what_was_not_met_lately_is_forgotten(list_membership: ListMembership, now: list[float]) -> None:
    """A job that was not seen on its list lately no longer counts; one that is seen again stays."""
    list_membership.add("x", "/posts", "ended")
    list_membership.add("x", "/posts", "waits")
    now[0] += MEMBER_S
    assert list_membership.count("x", "/posts") == 2
    list_membership.add("x", "/posts", "waits")
    now[0] += PRUNE_EVERY_S
    assert list_membership.ids("x", "/posts") == {"waits"}
    now[0] += MEMBER_S
    assert list_membership.count("x", "/posts") == 0


def test_memory_is_bounded(list_membership: ListMembership) -> None:
    """Beyond ten thousand lists everything is forgotten; a list that is known already does not count twice."""
    for number in range(MAX_LISTS):
        list_membership.add("x", f"/{number}", "a")
    list_membership.add("x", "/0", "b")
    assert list_membership.count("x", "/0") == 2
    list_membership.add("x", "/more", "a")
    assert (list_membership.count("x", "/0"), list_membership.count("x", "/more")) == (0, 1)


def test_a_job_that_no_page_shows_is_missing_for_a_while(
    list_membership: ListMembership, now: list[float]
) -> None:
    """Until a page shows it, or until it is looked for again."""
    for _ in range(MAX_MISSES - 1):
        list_membership.note_missing("x", "/posts", "a")
    assert not list_membership.is_missing("x", "/posts", "a")
    list_membership.note_missing("x", "/posts", "a")
    assert list_membership.is_missing("x", "/posts", "a")
    list_membership.note_shown("x", "/posts", "a")
    assert not list_membership.is_missing("x", "/posts", "a")
    list_membership.note_missing("x", "/posts", "a", misses=MAX_MISSES)
    now[0] += MISSING_S
    assert not list_membership.is_missing("x", "/posts", "a")

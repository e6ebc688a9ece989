"""Pages of a persona's list: which are asked for, and what is remembered of them."""

from bridge.domain.polling.list_pages import PAGE, ListStats, note_page, plan_pages


def ids(*numbers: int) -> dict[str, str]:
    return {f"post{number}": f"key{number}" for number in numbers}


def test_posts_without_a_place_are_looked_for_at_the_lists_start() -> None:
    """Where new posts are if the newest come first, which is documented nowhere."""
    (page,) = plan_pages(ids(1, 2), None)
    assert (page.offset, set(page.covers)) == (0, {"key1", "key2"})


def test_then_at_its_end_then_between_then_no_more() -> None:
    """The order of lists is not documented."""
    offsets, seen = [], ListStats()
    while pages := plan_pages(ids(1), seen):
        offsets.append(pages[0].offset)
        seen = note_page(
            seen,
            offset=pages[0].offset,
            ids=["x"],
            count=250,
            looked_for=["post1"],
            watched=["post1"],
            now_ms=1,
        )
    assert offsets[0] == 0
    assert offsets[1] <= 249 < offsets[1] + PAGE
    assert len(offsets) == len(set(offsets)) <= 6


def test_pages_overlap_and_cover_every_place() -> None:
    """A post that shifted by one place between two reads is still shown."""
    places = {f"post{number}": number for number in range(0, 400, 3)}
    pages = plan_pages({post: post for post in places}, ListStats(count=400, places=places))
    assert {key for page in pages for key in page.covers} == set(places)
    for page in pages:
        assert all(page.offset <= places[key] < page.offset + PAGE - 1 for key in page.covers)
        assert page.offset == 0 or min(places[key] for key in page.covers) > page.offset


def test_new_posts_shift_all_known_places() -> None:
    """Two newcomers before the known ones: those on other pages have moved as well."""
    seen = ListStats(count=300, places={"a": 0, "b": 1, "far": 150})
    seen = note_page(
        seen,
        offset=0,
        ids=["new1", "new2", "a", "b"],
        count=302,
        looked_for=["a", "b"],
        watched=["a", "b", "far"],
        now_ms=1,
    )
    assert seen.places == {"a": 2, "b": 3, "far": 152}


def test_a_post_that_is_gone_from_its_place_is_looked_for_anew() -> None:
    """It is not concluded to be gone: only its own read may say that."""
    seen = ListStats(count=2, places={"a": 0, "b": 1})
    seen = note_page(seen, offset=0, ids=["b"], count=1, looked_for=["a", "b"], watched=["a", "b"], now_ms=1)
    assert seen.missed == {"a": (0,)}
    assert [page.covers for page in plan_pages({"a": "A", "b": "B"}, seen)] == [("B",)]


def test_only_watched_posts_are_remembered() -> None:
    """A persona may have thousands of others."""
    seen = note_page(None, offset=0, ids=["a", "x", "y"], count=3, looked_for=["a"], watched=["a"], now_ms=1)
    assert seen.places == {"a": 0}

"""What a page of a followed persona's posts tells, whatever the order of the list."""

from bridge.domain.following.pages import MOST_POSTS, OVERLAP, WALK_EVERY, KnownPosts, read_posts
from bridge.domain.polling.list_pages import PAGE

DONE, RUNS = b"\x02\x00" + b"d" * 6, b"\x00\x00" + b"r" * 6
EMPTY = KnownPosts(has_baseline=True)


def named(*numbers: int, mark: bytes = DONE) -> dict[str, bytes]:
    return {f"p{number}": mark for number in numbers}


def test_a_baseline_tells_only_what_still_runs() -> None:
    """What had ended before is remembered, and never told."""
    read = read_posts(KnownPosts(), {**named(3, mark=RUNS), **named(2, 1)}, count=3, rows=3)
    assert (read.new, read.more, read.known.has_baseline) == (["p3"], False, True)
    assert list(read.known.marks) == ["p3", "p2", "p1"]


def test_a_long_baseline_goes_on_over_pages_that_overlap() -> None:
    """It is complete at the list's end, or once as many posts as are remembered were seen."""
    known, offset = KnownPosts(), 0
    while True:
        rows = named(*range(1000 - offset, max(0, 1000 - offset - PAGE), -1))
        read = read_posts(known, rows, count=1000, rows=PAGE)
        known = read.known
        if not read.more:
            break
        assert known.offset == offset + PAGE - OVERLAP
        offset = known.offset
    assert (len(known.marks), known.offset, known.has_baseline) == (MOST_POSTS, 0, True)
    assert list(known.marks)[:2] == ["p1000", "p999"]


def test_a_full_page_whose_count_is_its_length_may_not_be_the_whole_list() -> None:
    """`count` may mean the page."""
    read = read_posts(KnownPosts(), named(*range(PAGE)), count=PAGE, rows=PAGE)
    assert read.more


def test_new_and_changed_posts_are_told_once() -> None:
    """The second read of the same page tells nothing."""
    known = read_posts(KnownPosts(), named(2, 1), count=2, rows=2).known
    page = {**named(3), "p2": RUNS, "p1": DONE}
    read = read_posts(known, page, count=3, rows=3)
    assert (read.new, read.changed, read.missing, read.more) == (["p3"], {"p2": DONE}, {}, False)
    again = read_posts(read.known, page, count=3, rows=3)
    assert (again.new, again.changed) == ([], {})


def test_a_page_of_nothing_but_new_posts_asks_for_the_next() -> None:
    """Until a page shows something known."""
    known = KnownPosts(marks=named(*range(100, 0, -1)), has_baseline=True, count=100)
    first = read_posts(known, named(*range(300, 200, -1)), count=300, rows=PAGE)
    assert (len(first.new), first.more, first.known.offset) == (PAGE, True, PAGE - OVERLAP)
    second = read_posts(first.known, named(*range(220, 120, -1)), count=300, rows=PAGE)
    assert (len(second.new), second.more) == (PAGE - OVERLAP, False)
    assert list(second.known.marks)[:180] == list(named(*range(300, 120, -1)))


def test_missing_posts_are_those_that_a_page_should_show() -> None:
    """All of a whole list; of a longer one those between rows that it shows."""
    known = KnownPosts(marks=named(4, 3, 2, 1), has_baseline=True, count=4)
    assert read_posts(known, named(4, 2), count=2, rows=2).missing == named(3, 1)
    known = KnownPosts(marks=named(*range(200, 0, -1)), has_baseline=True, count=200)
    shown = [number for number in range(200, 99, -1) if number != 150]
    read = read_posts(known, named(*shown), count=199, rows=PAGE)
    assert read.missing == named(150)
    assert "p150" not in read.known.marks


def test_a_list_that_grows_at_its_end_is_read_there() -> None:
    """Without a new post on the first page, a longer list shows the oldest first: a new baseline begins at its end."""
    known = KnownPosts(marks=named(*range(150)), has_baseline=True, count=150)
    learnt = read_posts(known, named(*range(PAGE)), count=151, rows=PAGE)
    assert (learnt.more, learnt.known.oldest_first, learnt.known.offset) == (True, True, 51)
    base = read_posts(learnt.known, named(*range(51, 151)), count=151, rows=PAGE)
    assert (base.new, base.more, base.known.has_baseline) == ([], False, True)
    assert base.known.offset == 51
    read = read_posts(base.known, named(*range(51, 151)), count=152, rows=PAGE)
    assert (read.more, read.known.offset) == (True, 52)
    read = read_posts(read.known, named(*range(52, 152)), count=152, rows=PAGE)
    assert (read.new, read.more) == (["p151"], False)


def sweep_until_walk(known: KnownPosts, rows: dict[str, bytes], count: int) -> KnownPosts:
    """Sweep the first page as often as it takes until the walk has its turn."""
    for turn in range(1, WALK_EVERY + 1):
        read = read_posts(known, rows, count=count, rows=PAGE)
        known = read.known
        assert (read.more, known.is_walking) == (turn == WALK_EVERY, turn == WALK_EVERY)
    return known


def test_a_walk_finds_what_is_missing_or_changed_further_down() -> None:
    """It reads another page right after a sweep, once in ten, and comes back to the first page."""
    known = KnownPosts(marks=named(*range(300, 0, -1)), has_baseline=True, count=300)
    first = named(*range(300, 200, -1))
    for offset in (0, PAGE - OVERLAP):
        known = sweep_until_walk(known, first, 300)
        assert known.offset == offset
        if offset == 0:
            known = read_posts(known, first, count=300, rows=PAGE).known
    page = {**named(*(n for n in range(220, 119, -1) if n != 150)), "p130": RUNS}
    read = read_posts(known, page, count=299, rows=PAGE)
    assert (read.missing, read.changed, read.new, read.more) == (named(150), {"p130": DONE}, [], False)
    assert (read.known.offset, read.known.walk, read.known.is_walking) == (0, 2 * (PAGE - OVERLAP), False)
    assert "p150" not in read.known.marks
    assert read.known.marks["p130"] == RUNS
    assert len(read.known.marks) == 299


def test_a_walk_begins_again_at_the_end_of_the_list() -> None:
    """Which its last page shows by its length."""
    known = KnownPosts(
        marks=named(*range(120, 0, -1)), has_baseline=True, count=120, offset=80, walk=80, is_walking=True
    )
    read = read_posts(known, named(*range(40, 0, -1)), count=120, rows=40)
    assert (read.known.walk, read.known.offset, read.missing) == (0, 0, {})


def test_posts_beyond_those_that_are_remembered_are_told_only_if_they_run() -> None:
    """An old post that is made again is watched from then on; first sight of the others is a baseline."""
    known = KnownPosts(
        marks=named(*range(1000, 500, -1)), has_baseline=True, count=1000, offset=560, is_walking=True
    )
    read = read_posts(known, {**named(440), **named(439, mark=RUNS), **named(438)}, count=1000, rows=PAGE)
    assert (read.new, read.changed, read.missing) == (["p439"], {}, {})
    assert len(read.known.marks) == MOST_POSTS
    assert "p439" not in read.known.marks


def test_a_short_list_needs_no_walk() -> None:
    """Its one page shows all of it."""
    known = KnownPosts(marks=named(2, 1), has_baseline=True, count=2, turn=WALK_EVERY)
    read = read_posts(known, named(2, 1), count=2, rows=2)
    assert (read.more, read.known.is_walking) == (False, False)

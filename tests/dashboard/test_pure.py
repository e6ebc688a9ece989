"""Filters, words, pictures and the parts of a page, without a server."""

import math
import re
from itertools import pairwise
from typing import Any

import pytest

from bridge.dashboard.desk import safe_path
from bridge.dashboard.filters import link, list_chips, read_filter, read_moment
from bridge.dashboard.life import CUT_AFTER, LEAST_GAP, Mark, draw_life, place_times
from bridge.dashboard.pictures import Progress, draw_bar, draw_bars, draw_gauge
from bridge.dashboard.rendering import find_changes, find_live, show_time
from bridge.dashboard.views.rows import say_no_progress
from bridge.dashboard.words import say_bound, say_time_left, show_duration
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.polling.durations import Durations
from bridge.errors import ValidationFailed
from bridge.services.deliveries.delivery_filter import TROUBLE

NOW_MS = 1_790_000_000_000
PROGRESS = Progress(start_ms=NOW_MS - 10_000, typical_s=20.0, late_s=60.0, documented=True)


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [
        ("7d", 7 * 86_400_000),
        ("1h", 3_600_000),
        ("5m", 300_000),
        ("2026-09-21T14:13:20Z", 0),
        ("2026-09-21T14:13:20", 0),
    ],
)
def test_a_time_is_a_length_or_a_date(text: str, ago_ms: int) -> None:
    assert NOW_MS - read_moment(text, "since", now_ms=NOW_MS) == ago_ms


@pytest.mark.parametrize("text", ["yesterday", "-1d", "99999d", "9999-99-99"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="since"):
        read_moment(text, "since", now_ms=NOW_MS)


def test_without_a_state_it_is_trouble_that_is_shown_and_a_chip_says_so() -> None:
    """A hidden default would make people look for what is left out."""
    assert read_filter({}, now_ms=NOW_MS).states == TROUBLE
    assert list_chips("/deliveries", {})[0]["without"] == "/deliveries?state=any"
    assert read_filter({"state": "any"}, now_ms=NOW_MS).states == frozenset()


@pytest.mark.parametrize("query", [{"state": "gone"}, {"answer": "teapot"}, {"since": "x"}])
def test_a_filter_that_means_nothing_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed):
        read_filter(query, now_ms=NOW_MS)


def test_a_changed_filter_starts_at_the_newest() -> None:
    query = {"state": "parked", "cursor": "abc"}
    assert link("/d", query, receiver="https://x") == "/d?state=parked&receiver=https%3A%2F%2Fx"
    assert link("/d", query, cursor="def") == "/d?state=parked&cursor=def"


@pytest.mark.parametrize(
    ("age_s", "text"),
    [(0, "about 20 s left"), (30, "any moment, most end by 1:00 min"), (61, "past expected by 1 s")],
)
def test_what_is_left_is_never_negative(age_s: float, text: str) -> None:
    assert say_time_left(age_s, 20, 60) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59.4, "59 s"), (125, "2:05 min"), (11_400, "3:10 h"), (900_000, "10 days")],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


def test_a_bar_has_its_words_and_is_never_whole_before_the_end() -> None:
    assert 'aria-valuetext="about 10 s left"' in draw_bar(PROGRESS, NOW_MS, "x")
    almost = draw_bar(PROGRESS, NOW_MS + 49_990, "x")
    assert 'aria-valuenow="99"' in almost
    late = draw_bar(PROGRESS, NOW_MS + 80_000, 'a"b')
    assert "past expected by 30 s" in late
    assert 'aria-valuenow="99"' in late
    assert "a&#34;b" in late


def test_a_gauge_of_nothing_is_drawn() -> None:
    assert draw_gauge([("used", 0), ("free", 0)], "none").count("<rect") == 2


def test_idle_time_is_cut_and_bursts_stay_apart() -> None:
    """Ten polls a second apart, an hour of nothing, and two attempts 5 ms apart."""
    times = [n * 1000 for n in range(10)] + [3_609_000, 3_609_005]
    places, cuts = place_times(times, 800)
    assert [left_out for _, left_out in cuts] == [3_600_000]
    gaps = [places[after] - places[before] for before, after in pairwise(times)]
    assert min(gaps) >= LEAST_GAP
    assert max(places.values()) <= 800 + 1e-6
    assert CUT_AFTER > 1


def test_a_life_of_one_moment_and_of_none() -> None:
    assert draw_life([]) == ""
    assert "a&lt;b" in draw_life([Mark(at_ms=NOW_MS, row="polls", kind="run", text="a<b")])


def test_only_what_changed_by_more_than_the_clock_is_sent() -> None:
    page = "<!--live:a--><div>1<!--clock-->x<!--/clock--></div><!--/live--> <!--live:b--><p>2</p><!--/live-->"
    before = find_live(page)
    assert list(before) == ["a", "b"]
    assert find_changes(before, find_live(page.replace("x", "y"))) == {}
    assert list(find_changes(before, find_live(page.replace("2", "3")))) == ["b"]


def test_times_carry_their_zone_and_nothing_is_no_time() -> None:
    assert "2026-09-21 14:13:20 UTC" in show_time(NOW_MS)
    assert "time" not in show_time(None)


@pytest.mark.parametrize("text", ["//x", "/\\x", "https://x", "x", "", "/a\nb", "/" + "x" * 5000, "/é"])
def test_only_paths_of_this_site_are_led_to(text: str) -> None:
    assert safe_path(text) == ""


def test_quantiles_are_where_the_share_has_ended() -> None:
    durations = Durations(((10.0, 20.0),))
    for share in (0.1, 0.5, 0.9, 0.99):
        assert durations.at(durations.quantile(share)).ended == pytest.approx(share, abs=1e-3)
    assert durations.quantile(0.5) < durations.quantile(0.9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": JobState.TAIL, "seen": True}, "its end is unknown"),
        ({"state": JobState.ENDED, "seen": True}, "has ended"),
        ({"seen": True}, "its clock has not begun"),
        ({"seen": False}, "not read yet"),
    ],
)
def test_a_job_without_a_bar_says_why(changes: dict[str, Any], words: str) -> None:
    """One that has timed out had a clock: to say that none runs yet would be wrong."""
    fields: dict[str, Any] = {"state": JobState.WATCHING, "clock_ms": 0, **changes}
    job = Job(project="prj_1", account="acc_1", kind="sync_job", id="1", born_ms=1, run=1, run_ms=1, **fields)
    assert say_no_progress(job).startswith(words)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "nothing yet"), (0.25, "0.25 s"), (15.0, "15 s"), (90.0, "1:30 min"), (math.inf, "over an hour")],
)
def test_a_lag_is_told_by_a_bound(seconds: float | None, text: str) -> None:
    assert say_bound(seconds) == text


def test_columns_stand_on_the_floor_and_none_is_invisible() -> None:
    """The highest one fills the picture, one of a thousandth is seen, an empty one is not there."""
    drawn = draw_bars([[("good", 1000), ("bad", 1000)], [("good", 1)], []], "hours")
    rects = re.findall(r'class="(\w+)" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', drawn)
    heights = [(kind, float(y) + float(height), float(height)) for kind, _, y, height in rects]
    assert heights == [("good", 20.0, 10.0), ("bad", 10.0, 10.0), ("good", 20.0, 1.0)]

"""Lifetimes: the documented prior, what evidence makes of it, and what a read is worth."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.polling.durations import MAX_JOBS, NO_DURATIONS, Durations, DurationTable, add_duration
from bridge.domain.polling.priority import rate

VIDEO = [(60.0, 300.0)]


@given(st.lists(st.floats(0, 10_000), min_size=2, max_size=20))
def test_it_is_a_distribution(ages: list[float]) -> None:
    """The share ended never falls, stays below 1, and its integral grows with it."""
    durations = Durations([(20, 90), (60, 300)])
    found = [durations.at(age) for age in sorted(ages)]
    assert all(0 <= at.ended < 1 and at.density >= 0 for at in found)
    assert [at.ended for at in found] == sorted(at.ended for at in found)
    assert [at.area for at in found] == sorted(at.area for at in found)


def test_most_end_within_the_documented_range() -> None:
    """But a few sooner, and a few much later."""
    durations = Durations(VIDEO)
    assert 0 < durations.at(60).ended < 0.05
    assert 0.9 < durations.at(300).ended < 0.99


def learn(takes_s: tuple[float, float], *, lives: int, every_s: float, until_s: float) -> Durations:
    """Watch `lives` jobs that start together, each read every so often until a moment."""
    dice, table = random.Random(7), NO_DURATIONS
    for _ in range(lives):
        end, read = dice.uniform(*takes_s), None
        age = dice.uniform(0, every_s)
        while age < until_s:
            table = add_duration(table, Durations(VIDEO), alive_s=read, age_s=age, ended=end <= age)
            if end <= age:
                break
            read, age = age, age + every_s
    return Durations(VIDEO, table)


def test_observed_lives_outweigh_the_documents() -> None:
    """An upstream that takes four times as long as documented is soon known to."""
    learnt = learn((600, 900), lives=150, every_s=15, until_s=2000)
    assert learnt.at(400).ended < 0.3
    assert 0.2 < learnt.at(750).ended < 0.8
    assert learnt.at(1000).ended > 0.7


@pytest.mark.parametrize("every_s", [15, 120])
def test_the_first_to_end_do_not_make_all_look_quick(every_s: float) -> None:
    """At 120 s only a quarter of a batch has ended: those still running count as well, however rarely read."""
    learnt = learn((60, 300), lives=100, every_s=every_s, until_s=121)
    assert learnt.at(180).ended == pytest.approx(Durations(VIDEO).at(180).ended, abs=0.12)


def test_a_table_is_bounded_and_follows_changes() -> None:
    """Old lives fade."""
    table = NO_DURATIONS
    for _ in range(5 * round(MAX_JOBS)):
        table = add_duration(table, Durations(VIDEO), alive_s=None, age_s=100, ended=True)
    assert sum(table.ended) <= MAX_JOBS + 1
    assert isinstance(table, DurationTable)


def test_a_read_is_worth_most_when_the_end_is_certain() -> None:
    """Worth grows with the time since the last read, and with what has ended in it."""
    image = Durations([(20, 90)])
    priorities = [rate(image, age_s=age, read_age_s=10).price for age in (15, 30, 60, 89, 120)]
    assert priorities == sorted(priorities)
    assert priorities[-1] > 10 * priorities[1]
    assert rate(image, age_s=60, read_age_s=50).price < rate(image, age_s=60, read_age_s=20).price


@given(age=st.floats(0, 90_000), gap=st.none() | st.floats(0, 90_000))
def test_a_worth_is_a_number(age: float, gap: float | None) -> None:
    """Finite and not negative, at any age."""
    priority = rate(Durations(VIDEO), age_s=age, read_age_s=None if gap is None else max(0.0, age - gap))
    assert 0 <= priority.price < 1e8
    assert 0 <= priority.waiting <= age + 1

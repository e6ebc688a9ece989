"""The planner: what it asks for, in which order, and that nobody starves."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.polling.durations import Durations
from bridge.domain.polling.list_pages import ListStats
from bridge.domain.polling.planner import (
    PROMPT_PRICE,
    Candidate,
    PlanningContext,
    defer_ms,
    longest_wait_ms,
    max_defer_ms,
    plan_requests,
)
from bridge.domain.polling.rate_limit import Purpose

NOW = 1_795_000_000_000
LIVES = {"image": Durations([(20, 90)]), "video": Durations([(60, 300)])}
SCENE = PlanningContext(now_ms=NOW, ms_per_request=1000, durations=LIVES)


def candidate(key: str, *, age_s: float = 60, read_s: float | None = None, **change: object) -> Candidate:
    """A due image that started `age_s` ago and was last seen alive `read_s` after that."""
    started = NOW - round(1000 * age_s)
    read = 0 if read_s is None else started + round(1000 * read_s)
    made = Candidate(
        key=key, id=key, category="image", started_ms=started, read_ms=read, due_ms=NOW, interval_ms=10_000
    )
    return replace(made, **change)  # type: ignore[arg-type]  # fields by name


def order(*candidates: Candidate, context: PlanningContext = SCENE) -> list[str]:
    return [request.covers[0] for request in plan_requests(candidates, context).requests]


def test_what_has_most_likely_ended_goes_first() -> None:
    """An image of 60 s before one of 25 s, and before a video of 62 s; past all documented times first of all."""
    young, ripe, over = (
        candidate("young", age_s=25),
        candidate("ripe", age_s=60),
        candidate("over", age_s=120),
    )
    video = candidate("video", age_s=62, category="video")
    assert order(young, video, over, ripe)[:2] == ["over", "ripe"]
    assert order(young, video)[0] == "young"


def test_a_job_just_read_is_worth_less_than_one_read_long_ago() -> None:
    """Of two equals the one not looked at for longer."""
    assert order(candidate("fresh", read_s=50), candidate("stale", read_s=20)) == ["stale", "fresh"]


def test_a_confirmation_goes_before_every_guess() -> None:
    """A 404 waits for its second read, and a deadline for its last."""
    plan = plan_requests([candidate("over", age_s=300), candidate("must", age_s=1, prompt=True)], SCENE)
    assert [request.covers for request in plan.requests] == [("must",), ("over",)]
    assert plan.requests[0].priority >= PROMPT_PRICE


def test_two_posts_of_a_persona_share_a_page_and_one_does_not() -> None:
    """One list call for what is due together; a lone post is read by itself."""
    posts = [candidate("a", list="p"), candidate("b", list="p"), candidate("d", list="q")]
    asked = plan_requests(posts, SCENE).requests
    assert {request.purpose: set(request.covers) for request in asked} == {
        Purpose.LIST: {"a", "b"},
        Purpose.SINGLE: {"d"},
    }


def test_a_page_is_worth_all_that_waits_on_it() -> None:
    """Two posts of which each is worth less than a third job go together before it."""
    third = candidate("third", age_s=61)
    posts = [candidate(key, list="p", age_s=58) for key in "abcdef"]
    first = plan_requests([third, *posts], SCENE).requests[0]
    assert set(first.covers) == set("abcdef")


@pytest.mark.parametrize("change", [{"steady": True}, {"prompt": True}])
def test_what_is_not_read_for_a_likely_end_is_read_by_itself(change: dict[str, object]) -> None:
    """A confirmation wants the object itself; a page would not say why a post is missing."""
    other = replace(candidate("b", list="p"), **change)  # type: ignore[arg-type]  # fields by name
    asked = plan_requests([candidate("a", list="p"), other], SCENE).requests
    assert {request.purpose for request in asked} == {Purpose.SINGLE}


def test_a_post_that_its_list_does_not_show_is_read_by_itself() -> None:
    """It was looked for at the list's start, and there is no more of it."""
    seen = {"p": ListStats(count=3, places={"a": 0, "b": 1}, missed={"c": (0,)})}
    posts = [candidate(key, list="p") for key in "abc"]
    asked = plan_requests(posts, replace(SCENE, lists=seen)).requests
    assert sorted((request.purpose, sorted(request.covers)) for request in asked) == [
        (Purpose.LIST, ["a", "b"]),
        (Purpose.SINGLE, ["c"]),
    ]


@pytest.mark.parametrize("clearing", [0.0, 5.0, 1e6])
def test_a_job_put_back_is_weighed_again_soon(clearing: float) -> None:
    """Sooner where it is nearly worth a request, never later than the bound says."""
    job = candidate("a", read_s=55)
    priority = plan_requests([job], SCENE).priorities["a"]
    assert 0 < defer_ms(job, priority, clearing, SCENE) <= max_defer_ms(SCENE)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 60), ms_per_request=st.integers(200, 5000), seed=st.integers(0, 10**6))
def test_nobody_starves(count: int, ms_per_request: int, seed: int) -> None:
    """One request a pace, jobs of all ages and both sorts that never end: nobody waits past the stated bound.

    Half of them start so that they are worth far more than the others for as long as they live.
    """
    dice = random.Random(seed)
    jobs = {
        str(number): candidate(
            str(number), age_s=dice.choice((0, 10, 200, 4000)), category=dice.choice(("image", "video"))
        )
        for number in range(count)
    }
    context = replace(SCENE, ms_per_request=ms_per_request, watched=count)
    bound = longest_wait_ms(count, context)
    held = dict.fromkeys(jobs, 0)
    now = NOW
    while now < NOW + 3 * bound:
        context = replace(context, now_ms=now)
        at_hand = [job for key, job in jobs.items() if held[key] <= now]
        plan = plan_requests(at_hand, context)
        for key, priority in plan.priorities.items():
            clearing = plan.requests[1].priority if len(plan.requests) > 1 else 0
            held[key] = now + defer_ms(jobs[key], priority, clearing, context)
        if plan.requests:
            key = plan.requests[0].covers[0]
            assert now - jobs[key].due_ms <= bound
            jobs[key] = replace(jobs[key], read_ms=now, due_ms=now + jobs[key].interval_ms)
        now += ms_per_request
    assert all(now - job.due_ms <= bound for job in jobs.values())

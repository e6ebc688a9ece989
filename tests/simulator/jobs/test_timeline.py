"""A job is what its script says at each time."""

import pytest

from bridge.simulator.jobs.timeline import ABSENT, NOW, Timeline, TimelineStep, object_at, plan_timeline


def a_timeline(*steps: TimelineStep, speed: float = 1.0) -> Timeline:
    post = {"id": "p", "status": "pending", "media_items": [{"id": "a", "status": "pending"}]}
    return plan_timeline(post, steps=steps, members="media_items", started_at=1000.0, speed=speed)


def test_reading_in_any_order_gives_the_same() -> None:
    """State is a function of time alone: reading late first changes nothing."""
    timeline = a_timeline(
        TimelineStep(at_s=5, set={"status": "done"}), TimelineStep(at_s=2, set={"status": "busy"})
    )
    late_first = [object_at(timeline, at) for at in (6, 3, 1)]
    assert [seen["status"] for seen in late_first if seen] == ["done", "busy", "pending"]


@pytest.mark.parametrize(
    ("at_s", "status"),
    [
        (1.999, "pending"),  # not yet
        (2.0, "busy"),  # a step counts at its very moment
        (2.001, "busy"),
    ],
)
def test_a_step_counts_from_its_moment(at_s: float, status: str) -> None:
    """A step is taken at its time, not before."""
    seen = object_at(a_timeline(TimelineStep(at_s=2, set={"status": "busy"})), at_s)
    assert seen is not None
    assert seen["status"] == status


def test_parts_come_change_and_go() -> None:
    """Members are merged, added and removed by id."""
    timeline = a_timeline(
        TimelineStep(at_s=1, add=({"id": "b", "status": "pending"},), members={"a": {"status": "done"}}),
        TimelineStep(at_s=2, remove=frozenset(["a"])),
    )
    middle, end = object_at(timeline, 1), object_at(timeline, 2)
    assert middle is not None
    assert end is not None
    assert [(item["id"], item["status"]) for item in middle["media_items"]] == [
        ("a", "done"),
        ("b", "pending"),
    ]
    assert [item["id"] for item in end["media_items"]] == ["b"]


def test_deleted_is_nothing_until_restored() -> None:
    """A deleted job is not there; a restored one is, with what happened meanwhile."""
    timeline = a_timeline(
        TimelineStep(at_s=1, alive=False),
        TimelineStep(at_s=2, set={"status": "done"}),
        TimelineStep(at_s=3, alive=True),
    )
    restored = object_at(timeline, 3)
    assert object_at(timeline, 1) is None
    assert object_at(timeline, 2.5) is None
    assert restored is not None
    assert restored["status"] == "done"


def test_not_there_before_its_birth() -> None:
    """A job that automation will start does not exist before."""
    assert object_at(a_timeline(), -0.1) is None


def test_times_are_wall_clock_times_of_the_step() -> None:
    """`$now` is the time of the step on the wall, speed taken into account; `$absent` takes a field away."""
    timeline = a_timeline(TimelineStep(at_s=10, set={"ended": NOW, "status": ABSENT}), speed=4)
    seen = object_at(timeline, 10)
    assert seen is not None
    assert seen["ended"] == "1970-01-01T00:16:42.500Z"
    assert "status" not in seen


def test_cutting_forgets_the_future_only() -> None:
    """What has happened stays."""
    timeline = a_timeline(
        TimelineStep(at_s=1, set={"status": "busy"}), TimelineStep(at_s=5, set={"status": "done"})
    ).truncated_at(2)
    seen = object_at(timeline, 9)
    assert seen is not None
    assert seen["status"] == "busy"

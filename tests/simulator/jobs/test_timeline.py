"""A job's state at any time follows from its script."""

import pytest

from bridge.simulator.jobs.timeline import ABSENT, NOW, Timeline, TimelineStep, object_at, plan_timeline


def a_timeline(*steps: TimelineStep, speed: float = 1.0) -> Timeline:
    post = {"id": "p", "status": "pending", "media_items": [{"id": "a", "status": "pending"}]}
    return plan_timeline(post, steps=steps, members="media_items", started_at=1000.0, speed=speed)


def test_reading_in_any_order_gives_the_same() -> None:
    """State is a function of time alone: reading a late time first changes nothing."""
    timeline = a_timeline(
        TimelineStep(at_s=5, set={"status": "done"}), TimelineStep(at_s=2, set={"status": "busy"})
    )
    late_first = [object_at(timeline, at) for at in (6, 3, 1)]
    assert [seen["status"] for seen in late_first if seen] == ["done", "busy", "pending"]


@pytest.mark.parametrize(
    ("at_s", "status"),
    [
        (1.999, "pending"),  # not yet
        (2.0, "busy"),  # a step counts from its very moment
        (2.001, "busy"),
    ],
)
def test_a_step_counts_from_its_moment(at_s: float, status: str) -> None:
    """A step applies from its time on, not before."""
    seen = object_at(a_timeline(TimelineStep(at_s=2, set={"status": "busy"})), at_s)
    assert seen is not None
    assert seen["status"] == status


def test_parts_are_added_changed_and_removed() -> None:
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


def test_a_deleted_job_is_missing_until_restored() -> None:
    """A deleted job does not exist; a restored one does, with what happened meanwhile."""
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


def test_nothing_exists_before_its_start() -> None:
    """A job that automation will start does not exist before its start."""
    assert object_at(a_timeline(), -0.1) is None


def test_times_are_wall_clock_times_of_the_step() -> None:
    """`$now` is the step's wall-clock time, speed included; `$absent` removes a field."""
    timeline = a_timeline(TimelineStep(at_s=10, set={"ended": NOW, "status": ABSENT}), speed=4)
    seen = object_at(timeline, 10)
    assert seen is not None
    assert seen["ended"] == "1970-01-01T00:16:42.500Z"
    assert "status" not in seen


def test_truncating_drops_only_later_steps() -> None:
    """Steps that have been taken stay."""
    timeline = a_timeline(
        TimelineStep(at_s=1, set={"status": "busy"}), TimelineStep(at_s=5, set={"status": "done"})
    ).truncated_at(2)
    seen = object_at(timeline, 9)
    assert seen is not None
    assert seen["status"] == "busy"

"""A job's whole course as a value: its state at any time is a function of its script and that time."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

NOW = "$now"  # as a field's value: the wall-clock time of the step, ISO 8601
ABSENT = "$absent"  # as a field's value: the field is removed
# A clock near 1.8e9 s is exact to about 1e-7 s: a step that is due now must not count as not yet due.
_TOLERANCE_S = 1e-6


def iso(at: float) -> str:
    """Return Unix seconds as ISO 8601 UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineStep:
    """The changes at one moment; `at_s` counts simulated seconds from the timeline's start.

    Within a step `set` merges fields of the object; `remove`, `add` and `members` act on its media items or
    deliveries in that order (`members`: fields by member id); `alive` deletes (`False`) or restores (`True`) the
    object.
    """

    at_s: float
    set: Mapping[str, Any] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()
    add: tuple[Mapping[str, Any], ...] = ()
    members: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alive: bool | None = None

    def shifted(self, by_s: float) -> "TimelineStep":
        """Return the step moved by some seconds."""
        return replace(self, at_s=self.at_s + by_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """An object's first state and the steps that follow; make one with `plan_timeline`."""

    initial: Mapping[str, Any]
    steps: tuple[TimelineStep, ...]
    times: tuple[float, ...]
    members: str | None  # the field that holds parts with ids of their own
    started_at: float | None  # Unix seconds; None: starts at the first read
    speed: float

    def elapsed_s(self, now: float) -> float:
        """Return the simulated seconds since the start; negative before it."""
        return 0.0 if self.started_at is None else (now - self.started_at) * self.speed

    def wall_time(self, at_s: float) -> float:
        """Return the Unix time of a simulated second of this timeline."""
        return (self.started_at or 0.0) + at_s / self.speed

    def started(self, now: float) -> "Timeline":
        """Return the timeline, started now if it waited for its first read."""
        return self if self.started_at is not None else replace(self, started_at=now)

    def with_steps(self, steps: Iterable[TimelineStep]) -> "Timeline":
        """Return the timeline with more steps; steps of the same moment keep the order in which they were added."""
        merged = tuple(sorted((*self.steps, *steps), key=lambda step: step.at_s))
        return replace(self, steps=merged, times=tuple(step.at_s for step in merged))

    def truncated_at(self, at_s: float) -> "Timeline":
        """Return the timeline without the steps after a moment."""
        kept = self.steps[: max(0, steps_done(self, at_s))]
        return replace(self, steps=kept, times=self.times[: len(kept)])

    def next_change_at(self, count: int) -> float:
        """Return a Unix time before which nothing changes after `count` steps (-1: not started), rather too early."""
        if count >= len(self.times):
            return math.inf
        return self.wall_time(0.0 if count < 0 else self.times[count]) - 2 * _TOLERANCE_S

    def can_be_missing(self, now: float) -> bool:
        """Return whether a read may find nothing: before the start, or because some step deletes the object."""
        return self.elapsed_s(now) < 0 or any(step.alive is not None for step in self.steps)


def plan_timeline(
    initial: Mapping[str, Any],
    *,
    steps: Iterable[TimelineStep] = (),
    members: str | None = None,
    started_at: float | None,
    speed: float,
) -> Timeline:
    """Return a timeline; the steps may come in any order."""
    timeline = Timeline(
        initial=initial, steps=(), times=(), members=members, started_at=started_at, speed=speed
    )
    return timeline.with_steps(steps)


def steps_done(timeline: Timeline, elapsed_s: float) -> int:
    """Return how many steps have been taken by a moment; -1 before the timeline's start."""
    if elapsed_s < -_TOLERANCE_S:
        return -1
    return bisect_right(timeline.times, elapsed_s + _TOLERANCE_S)


def object_at(timeline: Timeline, elapsed_s: float) -> dict[str, Any] | None:
    """Return the object at a moment, in simulated seconds; None when there is none."""
    return object_after(timeline, steps_done(timeline, elapsed_s))


def object_after(timeline: Timeline, count: int) -> dict[str, Any] | None:
    """Return the object after its first `count` steps; None when it is deleted or not started (-1)."""
    if count < 0:
        return None
    seen: dict[str, Any] = {}
    _merge(seen, timeline.initial, iso(timeline.wall_time(0)))
    if timeline.members is not None:
        listed = seen.get(timeline.members, ())
        seen[timeline.members] = None if listed is None else [dict(member) for member in listed]
    alive = True
    for step in timeline.steps[:count]:
        _take(seen, step, timeline)
        alive = alive if step.alive is None else step.alive
    return seen if alive else None


def _take(seen: dict[str, Any], step: TimelineStep, timeline: Timeline) -> None:
    when = iso(timeline.wall_time(step.at_s))
    _merge(seen, step.set, when)
    if timeline.members is None:
        return
    listed = seen.get(timeline.members, ())
    if listed is None and not step.add:
        return
    parts = [dict(part) for part in listed or () if part["id"] not in step.remove]
    for fresh in step.add:
        part: dict[str, Any] = {}
        _merge(part, fresh, when)
        parts.append(part)
    for part in parts:
        _merge(part, step.members.get(part["id"], {}), when)
    seen[timeline.members] = parts


def _merge(into: dict[str, Any], fields: Mapping[str, Any], when: str) -> None:
    for name, value in fields.items():
        if value == ABSENT:
            into.pop(name, None)
        else:
            into[name] = when if value == NOW else value

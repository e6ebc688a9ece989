"""A job's whole timeline as a value: what it is at any time is a function of its script and that time."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

NOW = "$now"  # as a field's value: the wall-clock time of the step, ISO 8601
ABSENT = "$absent"  # as a field's value: the field goes away
_EARLY_S = (
    1e-6  # a clock near 1.8e9 s is exact to some 1e-7 s: what is due now must not come out as not yet due
)


def iso(at: float) -> str:
    """Write Unix seconds as ISO 8601 UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineStep:
    """What changes at one moment; `at_s` in simulated seconds after the timeline's start.

    Within a step: `set` merges fields of the object, `remove`, `add` and `members` act on its media items or deliveries
    in that order (`members`: fields by member id), `alive` deletes (`False`) or restores (`True`).
    """

    at_s: float
    set: Mapping[str, Any] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()
    add: tuple[Mapping[str, Any], ...] = ()
    members: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alive: bool | None = None

    def shifted(self, by_s: float) -> "TimelineStep":
        """Move the step."""
        return replace(self, at_s=self.at_s + by_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """An object as it begins and the steps it takes; make one with `plan_timeline`."""

    initial: Mapping[str, Any]
    steps: tuple[TimelineStep, ...]
    times: tuple[float, ...]
    members: str | None  # the field that holds parts with ids of their own
    started_at: float | None  # Unix seconds; None: starts when first read
    speed: float

    def elapsed_s(self, now: float) -> float:
        """Tell simulated seconds since the start; negative before it."""
        return 0.0 if self.started_at is None else (now - self.started_at) * self.speed

    def wall_time(self, at_s: float) -> float:
        """Tell the Unix time of a simulated second of this timeline."""
        return (self.started_at or 0.0) + at_s / self.speed

    def started(self, now: float) -> "Timeline":
        """Start a timeline that waited for its first reader."""
        return self if self.started_at is not None else replace(self, started_at=now)

    def with_steps(self, steps: Iterable[TimelineStep]) -> "Timeline":
        """Add steps; those of the same moment keep the order in which they were added."""
        merged = tuple(sorted((*self.steps, *steps), key=lambda step: step.at_s))
        return replace(self, steps=merged, times=tuple(step.at_s for step in merged))

    def truncated_at(self, at_s: float) -> "Timeline":
        """Forget the steps after a moment."""
        kept = self.steps[: max(0, steps_done(self, at_s))]
        return replace(self, steps=kept, times=self.times[: len(kept)])

    def next_change_at(self, count: int) -> float:
        """Tell a Unix time until which nothing changes after `count` steps (-1: not born), early rather than late."""
        if count >= len(self.times):
            return math.inf
        return self.wall_time(0.0 if count < 0 else self.times[count]) - 2 * _EARLY_S

    def can_be_missing(self, now: float) -> bool:
        """Tell whether a read may find nothing: not born yet, or deleted at some time."""
        return self.elapsed_s(now) < 0 or any(step.alive is not None for step in self.steps)


def plan_timeline(
    initial: Mapping[str, Any],
    *,
    steps: Iterable[TimelineStep] = (),
    members: str | None = None,
    started_at: float | None,
    speed: float,
) -> Timeline:
    """Put a timeline together; steps in any order."""
    timeline = Timeline(
        initial=initial, steps=(), times=(), members=members, started_at=started_at, speed=speed
    )
    return timeline.with_steps(steps)


def steps_done(timeline: Timeline, elapsed_s: float) -> int:
    """Count the steps taken by a moment; -1 before the timeline's start."""
    if elapsed_s < -_EARLY_S:
        return -1
    return bisect_right(timeline.times, elapsed_s + _EARLY_S)


def object_at(timeline: Timeline, elapsed_s: float) -> dict[str, Any] | None:
    """Tell what the object is at a moment; None when there is none."""
    return object_after(timeline, steps_done(timeline, elapsed_s))


def object_after(timeline: Timeline, count: int) -> dict[str, Any] | None:
    """Tell what the object is after its first steps; None when it is deleted or not born (-1)."""
    if count < 0:
        return None
    seen: dict[str, Any] = {}
    _merge(seen, timeline.initial, iso(timeline.wall_time(0)))
    if timeline.members is not None:
        seen[timeline.members] = [dict(member) for member in seen.get(timeline.members, ())]
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
    parts = [dict(part) for part in seen.get(timeline.members, ()) if part["id"] not in step.remove]
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

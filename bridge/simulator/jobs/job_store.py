"""All jobs of the simulator, found by id, by the parts they hold, and by persona."""

import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bridge.simulator.jobs.timeline import Timeline, TimelineStep, object_after, steps_done

encode = msgspec.json.Encoder().encode


class SimulatedJob:
    """One upstream resource with its timeline; the object last computed from it is cached."""

    __slots__ = (
        "_body",
        "_object",
        "_valid_from",
        "_valid_until",
        "born_at",
        "id",
        "kind",
        "owner",
        "persona_id",
        "timeline",
    )

    def __init__(
        self,
        kind: str,
        job_id: str,
        timeline: Timeline,
        *,
        owner: str | None,
        persona_id: str | None,
        born_at: float,
    ) -> None:
        self.kind = kind
        self.id = job_id
        self.timeline = timeline
        self.owner = owner
        self.persona_id = persona_id
        self.born_at = born_at
        self._valid_from, self._valid_until = math.inf, -math.inf
        self._object: Mapping[str, Any] | None = None
        self._body: bytes | None = None

    def read(self, now: float) -> Mapping[str, Any] | None:
        """Return the object as it is now, or None; a timeline that waits for its first read starts."""
        if self.timeline.started_at is None:
            self.replace_timeline(self.timeline.started(now))
        return self.peek(now)

    def peek(self, now: float) -> Mapping[str, Any] | None:
        """Return the object as it is now, or None, and start nothing."""
        if not self._valid_from <= now < self._valid_until:
            self._compute(now)
        return self._object

    def body(self, now: float) -> bytes | None:
        """Return the object as JSON; otherwise like `read`."""
        if self._body is not None and self._valid_from <= now < self._valid_until:
            return self._body
        seen = self.read(now)
        self._body = None if seen is None else encode(seen)
        return self._body

    def replace_timeline(self, timeline: Timeline) -> None:
        """Replace the job's timeline."""
        self.timeline = timeline
        self._valid_from, self._valid_until = math.inf, -math.inf

    def add_steps(self, now: float, steps: Iterable[TimelineStep]) -> None:
        """Add steps, their times counted from now."""
        timeline = self.timeline.started(now)
        passed_s = timeline.elapsed_s(now)
        self.replace_timeline(timeline.with_steps(step.shifted(passed_s) for step in steps))

    def drop_remaining(self, now: float) -> None:
        """Drop the steps that are still to come."""
        timeline = self.timeline.started(now)
        self.replace_timeline(timeline.truncated_at(timeline.elapsed_s(now)))

    def is_visible_to(self, account: str | None) -> bool:
        """Return whether an account may see the job; None stands for any account."""
        return account is None or self.owner is None or self.owner == account

    def _compute(self, now: float) -> None:
        """Compute the object, and cache it with the span of time in which it does not change."""
        count = steps_done(self.timeline, self.timeline.elapsed_s(now))
        self._object, self._body, self._valid_from = object_after(self.timeline, count), None, now
        if self.timeline.started_at is None:
            self._valid_until = now
        else:
            self._valid_until = self.timeline.next_change_at(count)


class JobStore:
    """Holds the jobs."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], SimulatedJob] = {}
        self._holders: dict[str, SimulatedJob] = {}
        self._groups: dict[tuple[str, str | None], list[SimulatedJob]] = {}
        self._may_vanish: set[tuple[str, str | None]] = set()  # groups in which a job may be missing

    def put(self, job: SimulatedJob, now: float) -> SimulatedJob:
        """Store a job; it replaces one with the same kind and id."""
        old = self._jobs.get((job.kind, job.id))
        if old is not None:
            for group in _groups_of(old):
                self._groups[group].remove(old)
        self._jobs[job.kind, job.id] = job
        for group in _groups_of(job):
            insort(self._groups.setdefault(group, []), job, key=lambda kept: kept.born_at)
        self.index(job, now)
        return job

    def index(self, job: SimulatedJob, now: float) -> None:
        """Record the parts that a timeline mentions, and whether the job can be missing at some time."""
        timeline = job.timeline
        if timeline.members is not None:
            listed = [timeline.initial, *(step.set for step in timeline.steps)]
            parts = [part for fields in listed for part in fields.get(timeline.members) or ()]
            parts += [part for step in timeline.steps for part in step.add]
            for part in parts:
                self._holders[part["id"]] = job
        if timeline.can_be_missing(now):
            self._may_vanish.update(_groups_of(job))

    def find(self, kind: str, job_id: str) -> SimulatedJob | None:
        """Return a job that is an object of its own, or None."""
        return self._jobs.get((kind, job_id))

    def find_holder(self, part_id: str) -> SimulatedJob | None:
        """Return the post that holds a media item, or the outgoing post that holds a delivery, or None."""
        return self._holders.get(part_id)

    def list_jobs(
        self, kind: str, persona_id: str | None, now: float, *, account: str | None = None
    ) -> Sequence[SimulatedJob]:
        """Return the jobs that exist now, oldest first; `persona_id` None lists a whole kind."""
        group = (kind, persona_id)
        jobs = self._groups.get(group, [])
        if account is None and group not in self._may_vanish:
            return jobs
        return [job for job in jobs if job.is_visible_to(account) and job.peek(now) is not None]

    def count(self) -> dict[str, int]:
        """Return the number of jobs of each kind."""
        return {kind: len(jobs) for (kind, persona), jobs in self._groups.items() if persona is None}

    def clear(self) -> None:
        """Forget all jobs."""
        for kept in (self._jobs, self._holders, self._groups, self._may_vanish):
            kept.clear()


def _groups_of(job: SimulatedJob) -> list[tuple[str, str | None]]:
    whole: list[tuple[str, str | None]] = [(job.kind, None)]
    return whole if job.persona_id is None else [*whole, (job.kind, job.persona_id)]

"""Everything that one simulator holds; every handler gets it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.simulator.behaviour.durations import Dice
from bridge.simulator.behaviour.faults import FaultRegistry
from bridge.simulator.behaviour.rate_windows import Limiter
from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.jobs.job_store import JobStore, SimulatedJob
from bridge.simulator.jobs.objects import MEMBERS
from bridge.simulator.jobs.timeline import TimelineStep, plan_timeline
from bridge.simulator.state.api_keys import Keyring
from bridge.simulator.state.journal import Journal
from bridge.simulator.state.ledger import Ledger
from bridge.simulator.state.personas import Persona, ready_persona


@dataclass(slots=True, kw_only=True)
class SimulatorState:
    """State of both vendors; `clock` returns Unix seconds, simulated time runs `speed` times faster."""

    clock: Callable[[], float]
    speed: float
    dice: Dice
    first_switches: Switches
    switches: Switches
    jobs: JobStore = field(default_factory=JobStore)
    personas: dict[str, Persona] = field(default_factory=dict)
    keys: Keyring = field(default_factory=Keyring)
    ledger: Ledger = field(default_factory=Ledger)
    limiter: Limiter = field(default_factory=Limiter)
    faults: FaultRegistry = field(default_factory=FaultRegistry)
    journal: Journal = field(default_factory=Journal)

    def start_job(
        self,
        kind: str,
        job_id: str,
        initial: Mapping[str, Any],
        steps: Iterable[TimelineStep] = (),
        *,
        owner: str | None = None,
        persona_id: str | None = None,
        at: float | None = None,
        first_read: bool = False,
    ) -> SimulatedJob:
        """Start a job: now, at a later time (until then it does not exist), or when it is first read."""
        now = self.clock()
        born_at = now if at is None else at
        timeline = plan_timeline(
            initial,
            steps=steps,
            members=MEMBERS.get(kind),
            started_at=None if first_read else born_at,
            speed=self.speed,
        )
        job = SimulatedJob(kind, job_id, timeline, owner=owner, persona_id=persona_id, born_at=born_at)
        return self.jobs.put(job, now)

    def add_steps(self, job: SimulatedJob, steps: Iterable[TimelineStep]) -> None:
        """Add steps to a job, their times counted from now."""
        now = self.clock()
        job.add_steps(now, steps)
        self.jobs.index(job, now)

    def persona(self, persona_id: str) -> Persona | None:
        """Return a persona or None; ids that start with `demo` are created on demand."""
        found = self.personas.get(persona_id)
        if found is None and (persona_id.startswith("demo") or self.switches.unknown_personas == "create"):
            found = self.add_persona(persona_id)
        return found

    def add_persona(self, persona_id: str, *, sources: int = 1, targets: int = 1) -> Persona:
        """Create a persona that can sync, convert voices and publish at once."""
        made = ready_persona(persona_id, now=self.clock(), sources=sources, targets=targets)
        self.personas[persona_id] = made
        return made

    def time_after(self, seconds: float) -> float:
        """Return the Unix time some simulated seconds from now."""
        return self.clock() + seconds / self.speed

    def reset(self) -> None:
        """Forget everything."""
        self.switches = self.first_switches
        self.personas.clear()
        for part in (
            self.jobs, self.keys, self.ledger, self.limiter, self.faults, self.journal,
        ):  # fmt: skip
            part.clear()


def new_state(*, clock: Callable[[], float], speed: float, seed: int, switches: Switches) -> SimulatorState:
    """Return the state of a simulator in which nothing has happened."""
    if speed <= 0:
        raise ValueError(f"speed must be above 0, not {speed}")
    return SimulatorState(
        clock=clock, speed=speed, dice=Dice(seed), first_switches=switches, switches=switches
    )

"""All that one simulator knows, handed to every handler."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.simulator.behaviour.durations import Dice
from bridge.simulator.behaviour.faults import FaultBox
from bridge.simulator.behaviour.rate_windows import Limiter
from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.jobs.job_store import Job, Shelf
from bridge.simulator.jobs.objects import MEMBERS
from bridge.simulator.jobs.timeline import Step, plan_life
from bridge.simulator.state.api_keys import Keyring
from bridge.simulator.state.journal import Journal
from bridge.simulator.state.ledger import Ledger
from bridge.simulator.state.personas import Persona, ready_persona


@dataclass(slots=True, kw_only=True)
class World:
    """The emulated vendors' state; `clock` tells Unix seconds, `speed` how much faster than it simulated time runs."""

    clock: Callable[[], float]
    speed: float
    dice: Dice
    first_switches: Switches
    switches: Switches
    shelf: Shelf = field(default_factory=Shelf)
    personas: dict[str, Persona] = field(default_factory=dict)
    keys: Keyring = field(default_factory=Keyring)
    ledger: Ledger = field(default_factory=Ledger)
    limiter: Limiter = field(default_factory=Limiter)
    faults: FaultBox = field(default_factory=FaultBox)
    journal: Journal = field(default_factory=Journal)

    def start(
        self,
        kind: str,
        job_id: str,
        initial: Mapping[str, Any],
        steps: Iterable[Step] = (),
        *,
        owner: str | None = None,
        persona_id: str | None = None,
        at: float | None = None,
        first_read: bool = False,
    ) -> Job:
        """Bring a job to life: now, at a later time (until then it does not exist), or when it is first read."""
        now = self.clock()
        born_at = now if at is None else at
        life = plan_life(
            initial,
            steps=steps,
            members=MEMBERS.get(kind),
            started_at=None if first_read else born_at,
            speed=self.speed,
        )
        job = Job(kind, job_id, life, owner=owner, persona_id=persona_id, born_at=born_at)
        return self.shelf.put(job, now)

    def change(self, job: Job, steps: Iterable[Step]) -> None:
        """Go on with a job's life: steps counted from now."""
        now = self.clock()
        job.change(now, steps)
        self.shelf.note(job, now)

    def persona(self, persona_id: str) -> Persona | None:
        """Find a persona; ids that start with `demo` spring to life."""
        found = self.personas.get(persona_id)
        if found is None and (persona_id.startswith("demo") or self.switches.unknown_personas == "create"):
            found = self.add_persona(persona_id)
        return found

    def add_persona(self, persona_id: str, *, sources: int = 1, targets: int = 1) -> Persona:
        """Make a persona that is ready for everything."""
        made = ready_persona(persona_id, now=self.clock(), sources=sources, targets=targets)
        self.personas[persona_id] = made
        return made

    def later(self, seconds: float) -> float:
        """Tell the Unix time some simulated seconds from now."""
        return self.clock() + seconds / self.speed

    def reset(self) -> None:
        """Forget everything."""
        self.switches = self.first_switches
        self.personas.clear()
        for part in (
            self.shelf, self.keys, self.ledger, self.limiter, self.faults, self.journal,
        ):  # fmt: skip
            part.clear()


def new_world(*, clock: Callable[[], float], speed: float, seed: int, switches: Switches) -> World:
    """Make a world in which nothing has happened."""
    if speed <= 0:
        raise ValueError(f"speed must be above 0, not {speed}")
    return World(clock=clock, speed=speed, dice=Dice(seed), first_switches=switches, switches=switches)

"""Apply the ends of very many parts in portions, so that no single commit writes too many deliveries."""

from msgspec.structs import replace

from bridge.domain.jobs.emitted import identify, list_emitted, name_delivery
from bridge.domain.jobs.records import Job
from bridge.domain.observation import Observation, Part


def take_portion(job: Job, observation: Observation, *, most: int) -> Observation:
    """Return an observation as if it had been made earlier: only `most` of the parts that have no event yet have ended.

    The job itself has then not ended either. What is held back is found again by the next poll, since only facts with
    events are in the job's ledger.
    """
    known = list_emitted(job.emitted)
    fresh = [
        part.id
        for part in observation.parts
        if part.ending and identify(job.run, name_delivery(part.id, part.ending.word)) not in known
    ]
    held = frozenset(fresh[most:])
    if not held:
        return observation
    parts = tuple(_reopen(part) if part.id in held else part for part in observation.parts)
    return replace(observation, ending=None, claimed=None, settled=False, parts=parts)


def _reopen(part: Part) -> Part:
    return replace(part, ending=None)

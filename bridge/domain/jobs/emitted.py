"""Which facts of a job have events already, so that none gets a second one.

A fact is known by its run and its name. Most are of one run: `completed`, `generating`. A review's word and a
delivery's end outlast the run in which they came true: they are told again only after they were seen undone.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from bridge.domain.jobs.records import Job
from bridge.domain.observation import Observation

REVIEW = "review:"
DELIVERY = "delivery:"
NOTICES = ("unauthorized:", "timed_out:")  # each is found only once, so the newest is enough
MAX_EMITTED = 2_000  # an outgoing post shows at most 1,000 deliveries; newer facts push out the oldest


def name_delivery(part: str, word: str) -> str:
    """Name the fact that a delivery ended."""
    return f"{DELIVERY}{part}:{word}"


def identify(run: int, name: str) -> str:
    """Say what a fact is known by: its name alone where it outlasts its run."""
    return name if _is_standing(name) else f"{run}:{name}"


def list_emitted(emitted: Iterable[str]) -> set[str]:
    """Give what the facts that have events are known by."""
    return {identify(_run(mark), _name(mark)) for mark in emitted}


def add_emitted(emitted: Sequence[str], *, run: int, name: str) -> tuple[str, ...]:
    """Remember that a fact has its event."""
    notice = next((prefix for prefix in NOTICES if name.startswith(prefix)), None)
    kept = [mark for mark in emitted if notice is None or not _name(mark).startswith(notice)]
    return (*kept[-(MAX_EMITTED - 1) :], f"{run}:{name}")


def keep_for_run(emitted: Iterable[str], run: int) -> tuple[str, ...]:
    """Forget what belongs to runs before `run` alone: it cannot be found again."""
    return tuple(mark for mark in emitted if _run(mark) >= run or _is_standing(_name(mark)))


def forget_reverted(job: Job, observation: Observation) -> Job:
    """Forget the standing facts of earlier runs that no longer hold: coming true again, they are news."""
    older = [mark for mark in job.emitted if _run(mark) < job.run]
    if not older:
        return job
    words = {part.id: part.ending.word if part.ending else "" for part in observation.parts}
    undone = {mark for mark in older if _is_undone(_name(mark), observation.review, words)}
    return replace(job, emitted=tuple(mark for mark in job.emitted if mark not in undone))


def _is_undone(name: str, review: str | None, words: dict[str, str]) -> bool:
    if name.startswith(REVIEW):
        return review is not None and name != f"{REVIEW}{review}"
    part, _, word = name.removeprefix(DELIVERY).rpartition(":")
    return words.get(part, word) != word


def _is_standing(name: str) -> bool:
    return name.startswith((REVIEW, DELIVERY))


def _run(mark: str) -> int:
    return int(mark.partition(":")[0])


def _name(mark: str) -> str:
    return mark.partition(":")[2]

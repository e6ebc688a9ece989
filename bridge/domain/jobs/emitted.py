"""The ledger of a job's facts that have events already, so that none gets a second one.

An entry is `run:name`. Most facts belong to one run: `completed`, `generating`. A review's result and a delivery's end
stay true in later runs: they get another event only after they were seen reverted.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from bridge.domain.jobs.records import Job
from bridge.domain.observation import Observation

REVIEW = "review:"
DELIVERY = "delivery:"
NOTICES = (
    "unauthorized:",
    "timed_out:",
    "synced:",
)  # an older one cannot be found again, so that only the newest is kept
MAX_EMITTED = 2_000  # an outgoing post shows at most 1,000 deliveries; the oldest entries are dropped


def name_delivery(part: str, word: str) -> str:
    """Return the name of the fact that a delivery ended."""
    return f"{DELIVERY}{part}:{word}"


def identify(run: int, name: str) -> str:
    """Return a fact's identity: its name alone if it stays true in later runs, else with its run."""
    return name if _is_standing(name) else f"{run}:{name}"


def list_emitted(emitted: Iterable[str]) -> dict[str, int]:
    """Return the identities of the facts that have events, each with the run of its event."""
    return {identify(_run(entry), _name(entry)): _run(entry) for entry in emitted}


def has_deliveries(emitted: Iterable[str]) -> bool:
    """Return whether the end of any delivery has an event."""
    return any(_name(entry).startswith(DELIVERY) for entry in emitted)


def list_reviews(emitted: Iterable[str]) -> tuple[str, ...]:
    """Return the results of a job's review that have events, in their order."""
    names = (_name(entry) for entry in emitted)
    return tuple(name.removeprefix(REVIEW) for name in names if name.startswith(REVIEW))


def add_emitted(emitted: Sequence[str], *, run: int, name: str) -> tuple[str, ...]:
    """Return the ledger with another fact."""
    notice = next((prefix for prefix in NOTICES if name.startswith(prefix)), None)
    kept = [entry for entry in emitted if notice is None or not _name(entry).startswith(notice)]
    return (*kept[-(MAX_EMITTED - 1) :], f"{run}:{name}")


def keep_for_run(emitted: Iterable[str], run: int) -> tuple[str, ...]:
    """Return the ledger without facts that belong only to runs before `run`, which cannot be found again."""
    return tuple(entry for entry in emitted if _run(entry) >= run or _is_standing(_name(entry)))


def forget_reverted(job: Job, observation: Observation) -> Job:
    """Return the job without facts of earlier runs that are no longer true, so that they get an event next time."""
    older = [entry for entry in job.emitted if _run(entry) < job.run]
    if not older:
        return job
    words = {part.id: part.ending.word if part.ending else "" for part in observation.parts}
    reverted = {entry for entry in older if _is_reverted(_name(entry), observation.review, words)}
    return replace(job, emitted=tuple(entry for entry in job.emitted if entry not in reverted))


def _is_reverted(name: str, review: str | None, words: dict[str, str]) -> bool:
    if name.startswith(REVIEW):
        return review is not None and name != f"{REVIEW}{review}"
    part, _, word = name.removeprefix(DELIVERY).rpartition(":")
    return words.get(part, word) != word


def _is_standing(name: str) -> bool:
    return name.startswith((REVIEW, DELIVERY))


def _run(entry: str) -> int:
    return int(entry.partition(":")[0])


def _name(entry: str) -> str:
    return entry.partition(":")[2]

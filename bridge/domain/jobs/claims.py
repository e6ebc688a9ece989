"""Ends that an object's own word claims while its parts are open: the word is right when it stays.

A post may say `failed` for a moment after a retry of its failed items has begun, or as soon as the first of them
failed. One that says so in two reads, and whose parts all still wait, has failed: nobody will make them. While a part
has begun, or in a run that a retry started, the claim waits until the time for such a part is over; only then is it
better than a time-out, which would say that the answer is unknown.
"""

import hashlib

from msgspec.structs import replace

from bridge.domain.jobs.records import Job
from bridge.domain.jobs.runs import has_ended
from bridge.domain.observation import Observation


def accept_claim(job: Job, observation: Observation, *, overdue: bool) -> Observation:
    """Return the observation with its claim as its ending, where the job's last read confirms it.

    `overdue` says that a read that shows no ending now would be told as a time-out.
    """
    if observation.ending is not None or observation.claimed is None:
        return observation
    if has_ended(job):
        stands = job.ending == observation.claimed.word and _is_as_it_ended(job, observation)
    else:
        waits = observation.moves or job.run > 1
        stands = sign_claim(observation) == job.claimed and (overdue or not waits)
    return replace(observation, ending=observation.claimed) if stands else observation


def sign_claim(observation: Observation) -> str:
    """Return a short hash of what an observation claims, with the state of each part; empty without a claim."""
    if observation.ending is not None or observation.claimed is None:
        return ""
    said = (
        observation.claimed.word,
        observation.status,
        [(part.id, part.status) for part in observation.parts],
    )
    return hashlib.blake2b(repr(said).encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _is_as_it_ended(job: Job, observation: Observation) -> bool:
    """Whether no part is new or open again since a claim was taken for the end."""
    known = dict(job.parts)
    words = {part.id: part.ending.word if part.ending else "" for part in observation.parts}
    return all(known.get(part) == word for part, word in words.items())

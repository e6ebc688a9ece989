"""What is remembered of each post of a followed persona: eight bytes, enough to tell what has changed about it.

A mark holds the post's ending, its review status, and a hash of its status and its items. Of a post without a job record
it also tells what the record would say.
"""

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.jobs.emitted import REVIEW
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.observation import Observation

_HASH_BYTES = 6
RUNNING = 0  # the code of a post that has not ended


class MarkWords(Struct, frozen=True):
    """The words that marks of a kind stand for, by their place; their order is part of what is stored."""

    endings: Sequence[str]
    reviews: Sequence[str]


def make_mark(seen: Observation, words: MarkWords) -> bytes:
    """Return the mark of a post as an answer shows it."""
    ending = seen.ending.word if seen.ending else ""
    items = sorted(part.id for part in seen.parts)
    shown = blake2b("\n".join((seen.status, *items)).encode("utf-8", "replace"), digest_size=_HASH_BYTES)
    return bytes((_code(ending, words.endings), _code(seen.review or "", words.reviews))) + shown.digest()


def ending_of(mark: bytes, words: MarkWords) -> str:
    """Return the word with which a marked post had ended, empty if it had not."""
    return words.endings[mark[0] - 1] if 0 < mark[0] <= len(words.endings) else ""


def review_of(mark: bytes, words: MarkWords) -> str:
    """Return the result of a marked post's review that has an event, empty without one."""
    return words.reviews[mark[1] - 1] if 0 < mark[1] <= len(words.reviews) else ""


def is_running(mark: bytes) -> bool:
    """Return whether a marked post had not ended."""
    return mark[0] == RUNNING


def is_other_run(before: bytes, now: bytes) -> bool:
    """Return whether a post that had ended shows another run: it runs again, ended differently or has other items."""
    return not is_running(before) and (before[0] != now[0] or before[2:] != now[2:])


def restore_job(fresh: Job, before: bytes | None, now: bytes | None, words: MarkWords) -> Job:
    """Return the record of a post that has none, as it was when it was marked; `fresh` is that of one never seen.

    `now` is the mark as the list shows it, None where it is missing there. What had ended before is not told again: only
    another run, another review status or a deletion is.
    """
    if before is None or is_running(before):
        return fresh
    review = review_of(before, words)
    known = replace(fresh, seen=True, emitted=(f"{fresh.run}:{REVIEW}{review}",) if review else ())
    if now is not None and is_other_run(before, now) and before[0] == now[0]:
        # Which items it had is not known, so that the record could not tell the new run from the old one.
        return replace(known, run=fresh.run + 1)
    return replace(known, state=JobState.ENDED, ending=ending_of(before, words))


def _code(word: str, words: Sequence[str]) -> int:
    return words.index(word) + 1 if word in words else 0

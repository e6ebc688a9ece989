"""The timeline's memory: the last 20 polls of a job, in a few words each."""

from msgspec.structs import replace

from bridge.domain.job import Mark, PollLog
from bridge.domain.news import Moment
from bridge.domain.reading import (
    Broken,
    Forbidden,
    Limited,
    Missing,
    Odd,
    Reading,
    Refused,
    Seen,
    Unavailable,
)

KEPT = 20


def mark_poll(log: PollLog, reading: Reading, at: Moment) -> PollLog:
    """Write one reading into the log: counts, streak of broken answers, pace in force, and its mark.

    A 429 says nothing of the upstream's health: it neither makes a streak nor ends one.
    """
    word, note = _describe(reading)
    mark = Mark(at_ms=at.now_ms, word=word, note=note, ms=at.took_ms)
    marks = (*log.marks[-(KEPT - 1) :], mark)
    broken = isinstance(reading, Broken | Unavailable)
    streak = log.streak + 1 if broken else log.streak if isinstance(reading, Limited) else 0
    if isinstance(reading, Seen):
        timing = reading.observation.timing
        log = replace(log, interval_s=timing.interval_s, timeout_s=timing.timeout_s, digest=at.digest)
    return replace(
        log,
        polls=log.polls + 1,
        streak=streak,
        last_ms=at.now_ms,
        marks=marks,
    )


def _describe(reading: Reading) -> tuple[str, str]:
    match reading:
        case Seen(observation=observation):
            unknown = ", ".join(observation.unknown)
            return observation.status, f"unknown to us: {unknown}" if unknown else ""
        case Missing():
            return "404", "not found"
        case Refused():
            return "401", "the account's key is refused"
        case Forbidden():
            return "403", "the account's key may not read this kind"
        case Limited():
            return "429", "rate limit, waiting for its reset"
        case Unavailable():
            return "503", "temporarily unavailable"
        case Broken(reason=reason):
            return "outage", reason
        case Odd(reason=reason):
            return "odd", reason

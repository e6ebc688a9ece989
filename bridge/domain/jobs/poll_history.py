"""The timeline's memory: the last 20 polls of a job, in a few words each."""

import struct
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import PollLog
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observed,
    PollResult,
    Throttled,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)

KEPT = 20
_TICK = struct.Struct("<IH")
_LONGEST_GAP, _LONGEST_READ = 2**32 - 1, 2**16 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPoll:
    """One poll in the timeline: when, what came (the status seen, or `404`, `429`, `outage` …), how long it took."""

    at_ms: int
    word: str
    note: str
    took_ms: int


def record_poll(log: PollLog, result: PollResult, at: PollContext) -> PollLog:
    """Write one reading into the log: counts, streak of broken answers, pace in force, and its mark.

    A 429 says nothing of the upstream's health: it neither makes a streak nor ends one.
    """
    word, note = _describe(result)
    gap_ms = min(max(at.now_ms - log.last_ms, 0), _LONGEST_GAP) if log.polls else 0
    ticks = log.ticks + _TICK.pack(gap_ms, min(at.took_ms, _LONGEST_READ))
    broken = isinstance(result, UpstreamBroken | UpstreamBusy)
    streak = log.streak + 1 if broken else log.streak if isinstance(result, Throttled) else 0
    if isinstance(result, Observed):
        timing = result.observation.timing
        log = replace(
            log, interval_s=timing.interval_s, timeout_s=timing.timeout_s, digest=at.digest, seen_ms=at.now_ms
        )
    return replace(
        log,
        polls=log.polls + 1,
        streak=streak,
        last_ms=at.now_ms,
        ticks=ticks[-KEPT * _TICK.size :],
        spans=_add_span(log.spans, word, note),
    )


def _add_span(
    spans: tuple[tuple[int, str, str], ...], word: str, note: str
) -> tuple[tuple[int, str, str], ...]:
    """Lengthen the last span or begin one, and forget what is older than the last 20 polls."""
    if spans and spans[-1][1:] == (word, note):
        spans = (*spans[:-1], (spans[-1][0] + 1, word, note))
    else:
        spans = (*spans, (1, word, note))
    surplus = sum(count for count, _, _ in spans) - KEPT
    while surplus > 0:
        count, *described = spans[0]
        left = max(count - surplus, 0)
        surplus -= count - left
        spans = ((left, described[0], described[1]), *spans[1:]) if left else spans[1:]
    return spans


def previous_poll_ms(log: PollLog) -> int | None:
    """Give when the poll before the last one was, None when there was none."""
    return log.last_ms - _TICK.unpack(log.ticks[-_TICK.size :])[0] if log.polls > 1 else None


def read_poll_history(log: PollLog) -> tuple[PastPoll, ...]:
    """Give the last polls of a job, at most 20, oldest first."""
    words = [(word, note) for count, word, note in log.spans for _ in range(count)]
    marks: list[PastPoll] = []
    at_ms = log.last_ms
    for (gap_ms, took_ms), (word, note) in zip(
        reversed(list(_TICK.iter_unpack(log.ticks))), reversed(words), strict=True
    ):
        marks.append(PastPoll(at_ms=at_ms, word=word, note=note, took_ms=took_ms))
        at_ms -= gap_ms
    return tuple(reversed(marks))


def _describe(result: PollResult) -> tuple[str, str]:
    match result:
        case Observed(observation=observation):
            unknown = ", ".join(observation.unknown)
            return observation.status, f"unknown to us: {unknown}" if unknown else ""
        case JobNotFound():
            return "404", "not found"
        case KeyRefused():
            return "401", "the account's key is refused"
        case KindForbidden():
            return "403", "the account's key may not read this kind"
        case Throttled():
            return "429", "rate limit, waiting for its reset"
        case UpstreamBusy():
            return "503", "temporarily unavailable"
        case UpstreamBroken(reason=reason):
            return "outage", reason
        case UnexpectedAnswer(reason=reason):
            return "odd", reason

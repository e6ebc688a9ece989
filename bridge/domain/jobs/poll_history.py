"""The last 20 polls of a job in short form, for the timeline."""

import struct
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import PollLog
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observation,
    Observed,
    PollResult,
    Throttled,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)

KEPT = 20
_TICK = struct.Struct("<IH")
_MAX_GAP_MS, _MAX_READ_MS = 2**32 - 1, 2**16 - 1
_BROKEN = (UpstreamBroken, UpstreamBusy)  # made once: a union of types is made anew at each use


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPoll:
    """One poll in the timeline; `word` is the status seen, or `404`, `429`, `outage` and so on."""

    at_ms: int
    word: str
    note: str
    took_ms: int


def record_poll(log: PollLog, result: PollResult, at: PollContext) -> PollLog:
    """Return the log with another poll: its counts, intervals and history.

    A 429 says nothing about the provider's health, so that it neither lengthens nor ends a streak of broken answers.
    """
    if isinstance(result, Observed):
        return record_observed(log, result.observation, at, due_ms=log.due_ms)
    word, note = _describe(result)
    broken = isinstance(result, _BROKEN)
    return replace(
        log,
        polls=log.polls + 1,
        streak=log.streak + 1 if broken else log.streak if isinstance(result, Throttled) else 0,
        last_ms=at.now_ms,
        ticks=_add_tick(log, at),
        spans=_add_span(log.spans, word, note),
    )


def record_observed(log: PollLog, seen: Observation, at: PollContext, *, due_ms: int) -> PollLog:
    """Return the log with another poll that showed the job, and when the next one is due.

    Nearly every poll ends here, so that the record is made at once and not changed field by field.
    """
    note = f"unknown to us: {', '.join(seen.unknown)}" if seen.unknown else ""
    return PollLog(
        polls=log.polls + 1,
        streak=0,
        last_ms=at.now_ms,
        digest=at.digest,
        ticks=_add_tick(log, at),
        spans=_add_span(log.spans, seen.status, note),
        interval_s=seen.timing.interval_s,
        timeout_s=seen.timing.timeout_s,
        due_ms=due_ms,
        seen_ms=at.now_ms,
    )


def _add_tick(log: PollLog, at: PollContext) -> bytes:
    """Return the packed times of the last polls with another one."""
    gap_ms = min(max(at.now_ms - log.last_ms, 0), _MAX_GAP_MS) if log.polls else 0
    return (log.ticks + _TICK.pack(gap_ms, min(at.took_ms, _MAX_READ_MS)))[-KEPT * _TICK.size :]


def _add_span(
    spans: tuple[tuple[int, str, str], ...], word: str, note: str
) -> tuple[tuple[int, str, str], ...]:
    """Return the spans with another poll, without what is older than the last 20."""
    if len(spans) == 1 and spans[0][1:] == (word, note):  # a job that goes on as it is
        return spans if spans[0][0] >= KEPT else ((spans[0][0] + 1, word, note),)
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


def last_took_ms(log: PollLog) -> int:
    """Return how long the last poll took in milliseconds, at most 65,535; 0 if there was none."""
    return int(_TICK.unpack(log.ticks[-_TICK.size :])[1]) if log.ticks else 0


def previous_poll_ms(log: PollLog) -> int | None:
    """Return the time of the last poll but one, None if there was none."""
    return log.last_ms - _TICK.unpack(log.ticks[-_TICK.size :])[0] if log.polls > 1 else None


def read_poll_history(log: PollLog) -> tuple[PastPoll, ...]:
    """Return the last polls of a job, at most 20, oldest first."""
    words = [(word, note) for count, word, note in log.spans for _ in range(count)]
    polls: list[PastPoll] = []
    at_ms = log.last_ms
    for (gap_ms, took_ms), (word, note) in zip(
        reversed(list(_TICK.iter_unpack(log.ticks))), reversed(words), strict=True
    ):
        polls.append(PastPoll(at_ms=at_ms, word=word, note=note, took_ms=took_ms))
        at_ms -= gap_ms
    return tuple(reversed(polls))


def _describe(result: PollResult) -> tuple[str, str]:
    match result:
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
        case Observed():
            raise AssertionError("what was observed is recorded by itself")

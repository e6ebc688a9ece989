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
    word, note = _describe(result)
    gap_ms = min(max(at.now_ms - log.last_ms, 0), _MAX_GAP_MS) if log.polls else 0
    ticks = log.ticks + _TICK.pack(gap_ms, min(at.took_ms, _MAX_READ_MS))
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
    """Return the spans with another poll, without what is older than the last 20."""
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

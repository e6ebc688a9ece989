"""Decide what a call gets whose Idempotency-Key has been used before."""

from enum import StrEnum

from bridge.domain.starts.records import Fingerprint, Start, StartState


class Repeat(StrEnum):
    """What becomes of a repeated start."""

    OTHER = "other"  # another request has this key
    REPLAY = "replay"  # the kept answer
    CONSUMED = "consumed"  # it was done, and no answer is kept: that was too large, or none is documented
    RUNNING = "running"  # its first call is under way
    DOUBT = "doubt"  # whether it was done is not known


def judge_repeat(start: Start, fingerprint: Fingerprint) -> Repeat:
    """Return what a request with this fingerprint gets under the key of a known start."""
    if start.fingerprint != fingerprint:
        return Repeat.OTHER
    match start.state:
        case StartState.INTENT:
            return Repeat.RUNNING
        case StartState.DOUBT:
            return Repeat.DOUBT
        case StartState.ANSWERED | StartState.REBUILT:
            return Repeat.CONSUMED if start.answer is None else Repeat.REPLAY


def name_differences(start: Start, fingerprint: Fingerprint) -> tuple[str, ...]:
    """Return the parts of a request that are not those of the first one with its key."""
    parts = ("method", "path", "body")
    first, now = start.fingerprint, fingerprint
    pairs = zip((first.method, first.target, first.body), (now.method, now.target, now.body), strict=True)
    return tuple(part for part, (one, other) in zip(parts, pairs, strict=True) if one != other)

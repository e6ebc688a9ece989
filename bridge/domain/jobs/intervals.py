"""Poll intervals, back-off and grace as documented, in seconds before `scale` (REELBRIDGE_POLL_SCALE).

The intervals and timeouts of each kind, and where they are documented, stand with its provider.
"""

from dataclasses import dataclass

from bridge.domain.jobs.records import Job, PollLog

BACKOFF_FIRST_S = 5.0
BACKOFF_FACTOR = 1.5
BACKOFF_CAP_S = 60.0
GRACE_S = 60.0  # a new id may not be readable yet
CONFIRM_S = 2.0  # between a surprising answer (401, 403, 404) and the read that confirms it
OUTAGE_RETRY_S = 60.0  # between two tries of a refused key
TAIL_INTERVAL_S = 600.0
TAIL_LASTS_S = 86_400.0  # not scaled: "for 24 h" is promised
IDLE_INTERVAL_S = 60.0  # a draft or scheduled outgoing post
IDLE_LASTS_S = 30 * 86_400.0  # not scaled
MASS_VANISH = 5  # so many jobs of one account not found within a grace count as an outage at first
MASS_CONFIRM_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeScale:
    """The factor on all documented times."""

    scale: float = 1.0

    def ms(self, seconds: float) -> int:
        """Return scaled milliseconds, at least 1."""
        return max(1, round(seconds * self.scale * 1000))


def backoff_s(streak: int) -> float:
    """Return the documented back-off in seconds after `streak` (>= 1) broken answers in a row."""
    if streak > 12:  # past the cap in any case, and no overflow
        return BACKOFF_CAP_S
    return min(BACKOFF_FIRST_S * BACKOFF_FACTOR ** (streak - 1), BACKOFF_CAP_S)


def interval_ms(log: PollLog, scale: TimeScale, *, fallback_s: float) -> int:
    """Return a job's poll interval in milliseconds, scaled; `fallback_s` is used before its first observation."""
    return scale.ms(log.interval_s or fallback_s)


def grace_over(job: Job, now_ms: int, scale: TimeScale) -> bool:
    """Return whether a job that was never seen has been not found for the whole grace."""
    return now_ms - job.missing_ms >= scale.ms(GRACE_S)

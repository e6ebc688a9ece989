"""When to read a job again: documented intervals, back-off and grace, all before `scale` (REELBRIDGE_POLL_SCALE).

Sources: ReelMirror "Webhooks" (polling table, back-off pattern) and "Bots" (error table); ReelBot "Check Status".
"""

from dataclasses import dataclass

from bridge.domain.jobs.records import Job, PollLog

FIRST_READ_S = 0.0  # a job may have ended before it was registered
BACKOFF_FIRST_S = 5.0
BACKOFF_FACTOR = 1.5
BACKOFF_CAP_S = 60.0
GRACE_S = 60.0  # a new id may take a moment to be readable
CONFIRM_S = 2.0  # between a surprising answer (401, 403, 404) and the read that confirms it
OUTAGE_RETRY_S = 60.0  # between tries of a refused key
TAIL_INTERVAL_S = 600.0
TAIL_LASTS_S = 86_400.0  # not scaled: it is the promise "for 24 h"
IDLE_INTERVAL_S = 60.0  # a draft or scheduled outgoing post
IDLE_LASTS_S = 30 * 86_400.0  # not scaled
MASS_VANISH = 5  # this many jobs of one account gone within a grace: an outage first
MASS_CONFIRM_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeScale:
    """The scale of all documented times."""

    scale: float = 1.0

    def ms(self, seconds: float) -> int:
        """Give scaled milliseconds, at least 1."""
        return max(1, round(seconds * self.scale * 1000))


def backoff_s(streak: int) -> float:
    """Give the documented back-off after `streak` (>= 1) broken answers in a row, in seconds."""
    if streak > 12:  # past the cap in any case, and no overflow
        return BACKOFF_CAP_S
    return min(BACKOFF_FIRST_S * BACKOFF_FACTOR ** (streak - 1), BACKOFF_CAP_S)


def interval_ms(log: PollLog, scale: TimeScale, *, fallback_s: float) -> int:
    """Give the documented interval in force for a job, scaled."""
    return scale.ms(log.interval_s or fallback_s)


def grace_over(job: Job, now_ms: int, scale: TimeScale) -> bool:
    """Say whether a job that was never seen has been unknown for the whole grace."""
    return now_ms - job.missing_ms >= scale.ms(GRACE_S)

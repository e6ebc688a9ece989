"""When the outcome of an uncertain start is looked for; times in seconds are before any scale."""

from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.starts.records import Start

OWNER_SILENT_MS = 10_000  # after which a process that sent no heartbeat counts as gone
LONGEST_CALL_MS = (
    300_000  # connect, answer and body have time limits of less, and then its owner has written the outcome
)
OWNER_CHECK_MS = 5_000  # how often the owner of a running start is checked
REPAIR_EVERY_MS = 60_000  # how often a registration that was refused is tried again
DOUBT_LOOKS_S = (2, 10, 30, 90, 300, 900, 3600)  # after the doubt began
LATE_LOOKS_S = (2, 5, 10, 20, 40, 80)  # after an answer that names no id yet
LATE_EVERY_S = 60
LATE_ENDS_S = 600


def next_doubt_look_ms(start: Start, *, scale: TimeScale, now_ms: int) -> int | None:
    """Return when to look next for an uncertain start, None after the last look."""
    if start.looks >= len(DOUBT_LOOKS_S):
        return None
    return max(now_ms, start.ended_ms + scale.ms(DOUBT_LOOKS_S[start.looks]))


def next_late_look_ms(start: Start, *, scale: TimeScale, now_ms: int) -> int:
    """Return when to look next for the job of an answer that named none."""
    if start.looks < len(LATE_LOOKS_S):
        return max(now_ms, start.ended_ms + scale.ms(LATE_LOOKS_S[start.looks]))
    return now_ms + scale.ms(LATE_EVERY_S)


def is_late_over(start: Start, *, scale: TimeScale, now_ms: int) -> bool:
    """Whether the job of an answer that named none has been looked for long enough."""
    return now_ms - start.ended_ms >= scale.ms(LATE_ENDS_S)

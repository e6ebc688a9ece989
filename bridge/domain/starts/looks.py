"""When the outcome of an uncertain start is looked for."""

from bridge.domain.starts.records import MINUTE_MS

OWNER_SILENT_MS = 10_000  # after which a process that sent no heartbeat counts as gone
OWNER_CHECK_MS = 5_000  # how often the owner of a running start is checked
DOUBT_LOOKS_S = (2, 10, 30, 90, 300, 900, 3600)  # after the doubt began
LATE_LOOKS_S = (2, 5, 10, 20, 40, 80)  # after an answer that names no id yet; then every minute
LATE_ENDS_MS = 10 * MINUTE_MS
REPAIR_EVERY_MS = MINUTE_MS


def next_doubt_look_ms(looks: int, *, doubt_ms: int, now_ms: int) -> int | None:
    """Return when to look next for an uncertain start after so many looks, None after the last one."""
    if looks >= len(DOUBT_LOOKS_S):
        return None
    return max(now_ms, doubt_ms + DOUBT_LOOKS_S[looks] * 1000)


def next_late_look_ms(looks: int, *, answered_ms: int, now_ms: int) -> int:
    """Return when to look next for the job of an answer that named none."""
    if looks < len(LATE_LOOKS_S):
        return max(now_ms, answered_ms + LATE_LOOKS_S[looks] * 1000)
    return now_ms + MINUTE_MS

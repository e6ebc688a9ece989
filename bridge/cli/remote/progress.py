"""How far a job is, as well as it can be known: by its parts, else by the time that its provider documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.domain.observation import Outcome
from bridge.providers.spec import KindSpec

NEARLY = 0.95  # what time alone may claim: only an ending completes a bar
# The exit status of `reelbridge watch`; 1 and 2 mean that it could not watch, as with every command.
STATUS_OF = {
    Outcome.SUCCEEDED: 0,
    Outcome.FAILED: 3,
    Outcome.PARTIAL: 4,
    Outcome.SKIPPED: 5,
    Outcome.DELETED: 6,
    Outcome.UNKNOWN: 7,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """`done` of 1, and what remains in words."""

    done: float
    text: str


def estimate(kind: KindSpec, data: Mapping[str, Any] | None, elapsed_s: float) -> JobProgress:
    """Return the progress of a job that runs since `elapsed_s` seconds; `data` is its object as it was last seen.

    Documented times are ranges: the bar assumes the middle, the words give the range.
    """
    ranges = kind.expected_for("")
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    by_time = min(NEARLY, elapsed_s / ((low + high) / 2))
    ended, total = _count_parts(kind, data)
    text = (
        f"usually {low:.0f} to {high:.0f} s" if elapsed_s <= high else f"longer than the usual {high:.0f} s"
    )
    if not total:
        return JobProgress(done=by_time, text=text)
    by_parts = (ended + (1 - ended / total) * by_time) / total
    return JobProgress(done=min(NEARLY, by_parts), text=f"{ended} of {total} ended, {text}")


def _count_parts(kind: KindSpec, data: Mapping[str, Any] | None) -> tuple[int, int]:
    parts = data.get(kind.parts_field) if data is not None and kind.parts_field and kind.part else None
    if not isinstance(parts, list) or kind.part is None:
        return 0, 0
    words = [part.get(kind.part.status_field) for part in parts if isinstance(part, Mapping)]
    return sum(word in kind.part.ends for word in words if isinstance(word, str)), len(words)


def exit_status(kind: KindSpec, ending: str) -> int:
    """Return the exit status for the last word of an ending event; a word that is not known here tells nothing."""
    return STATUS_OF[kind.ending_words.get(ending, Outcome.UNKNOWN)]

"""Tables: medians with what they lie between, what was aimed at, and on which hardware."""

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure: a value a round. `least` and `most` are what its median must keep to, where it must."""

    name: str
    values: Sequence[float]
    unit: str = ""
    digits: int = 0
    least: float | None = None
    most: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool:
        return (self.least is None or self.median >= self.least) and (
            self.most is None or self.median <= self.most
        )

    def cells(self) -> tuple[str, str, str]:
        """Give the name, the measured values and the aim as text."""
        shown = f"{self._show(self.median)}{self.unit}"
        if len(self.values) > 1:
            shown += f" ({self._show(min(self.values))}–{self._show(max(self.values))})"  # noqa: RUF001 -- a range, as it is printed
        aims = [
            f"{sign} {self._show(aim)}{self.unit}"
            for sign, aim in (("≥", self.least), ("≤", self.most))
            if aim is not None
        ]
        if aims and not self.is_met:
            aims.append("missed")
        return self.name, shown, ", ".join(aims)

    def _show(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value below which that share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def write_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    first, *others = ("| " + " | ".join(line) + " |" for line in (head, *lines))
    return "\n".join([first, "|" + "---|" * len(head), *others])


def describe_hardware(engine: str) -> str:
    """Name what the figures depend on."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} cores of {_name_processor()}, {platform.system()}, {python}, {engine}."


def _name_processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()

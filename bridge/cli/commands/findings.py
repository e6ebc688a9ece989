"""What one check of `reelbridge doctor` has found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "info", "warning", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check; the text of a warning and of what is wrong says what to do."""

    level: Level
    text: str

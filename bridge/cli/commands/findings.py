"""What one check of `reelbridge doctor` has found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check; unless the level is `ok`, the text says what to do."""

    level: Level
    text: str

"""What `up` says: every line with the name of who says it."""

import os
import sys
from contextlib import suppress
from typing import TextIO

NAME_WIDTH = 9
COLORS = {"up": "1", "api": "36", "worker": "33", "simulator": "35", "store": "34", "inbox": "32"}


class Terminal:
    """Prints prefixed lines; a reader who went away does not end the service."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take a stream, standard output by default; names are coloured on a terminal only."""
        self._stream = stream or sys.stdout
        self._colored = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._gone = False

    def say(self, name: str, line: str) -> None:
        """One line by one speaker."""
        shown = f"{name:<{NAME_WIDTH}}"
        if self._colored and name in COLORS:
            shown = f"\x1b[{COLORS[name]}m{shown}\x1b[0m"
        self.write(f"{shown} | {line}")

    def write(self, text: str) -> None:
        """Text as it is."""
        if self._gone:
            return
        try:
            print(text, file=self._stream, flush=True)
        except (OSError, ValueError):
            self._gone = True
            with suppress(OSError, ValueError):
                self._stream.close()

"""The terminal output of `up`: every line begins with the name of the process that it comes from."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from bridge.domain.printable import printable

NAME_WIDTH = 9
COLORS = {"up": "1", "api": "36", "worker": "33", "simulator": "35", "store": "34", "inbox": "32"}


class Terminal:
    """A stream for prefixed lines; closing it does not stop the service."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default standard output; names are coloured only on a terminal."""
        self._stream = stream or sys.stdout
        self._colored = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._gone = False

    def write_line(self, name: str, line: str) -> None:
        """Print one line under the name of a process."""
        shown = f"{name:<{NAME_WIDTH}}"
        if self._colored and name in COLORS:
            shown = f"\x1b[{COLORS[name]}m{shown}\x1b[0m"
        self._print(f"{shown} | {printable(line, lines=True)}")

    def write(self, text: str) -> None:
        """Print a text without a prefix."""
        self._print(printable(text, lines=True))

    def _print(self, text: str) -> None:
        if self._gone:
            return
        try:
            print(text, file=self._stream, flush=True)
        except (OSError, ValueError):
            self._gone = True
            with suppress(OSError, ValueError):
                self._stream.close()

"""Print what a bridge has answered: tables and lines for people, the answer itself as JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.domain.printable import printable, printable_json

ONE_LINE = 1_000  # characters, more than a row takes
Row = Mapping[str, Any]


class PipedConsole(Console):
    """A console that tells of a reader that has left, as `print` does; rich's own would end the process with status 1."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError."""
        raise BrokenPipeError


def show_json(value: Any) -> None:
    """Print a value as one line of JSON, in which nothing steers the terminal."""
    print(printable_json(json.dumps(value, ensure_ascii=False)), flush=True)  # noqa: T201 -- a command's output


def show_line(text: str) -> None:
    """Print a line of text from wherever it comes."""
    print(printable(text), flush=True)  # noqa: T201 -- likewise


def show_table(rows: Iterable[Row], columns: Sequence[str], *, empty: str) -> None:
    """Print a table with these fields of each row; where no terminal has a width, each row is one line.

    The first column is never broken: it is an id, to be copied. Without rows, print what to do.
    """
    console = PipedConsole()
    if not console.is_terminal:
        console.width = max(console.width, ONE_LINE)
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(say(row.get(name)))) for name in columns))
    if table.row_count:
        console.print(table)
    else:
        show_line(empty)


def show_object(value: Mapping[str, Any]) -> None:
    """Print each field of an object as a line; the parts of a list are lines of their own below its name."""
    for name, each in value.items():
        if isinstance(each, list) and each and isinstance(each[0], Mapping):
            show_line(f"{name}:")
            for part in each:
                show_line("  " + "  ".join(say(inner) for inner in part.values() if inner not in (None, "")))
        else:
            show_line(f"{name}: {say(each)}")


def say(value: Any) -> str:
    """Return a value of JSON as people read it: a list's words in a row, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)

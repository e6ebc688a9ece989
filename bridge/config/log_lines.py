"""The lines of the log: how the bridge's own come to their stream, beside the records of libraries."""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from threading import get_ident
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

# A level of lines, the name of their logger, their fields, and when they were logged in nanoseconds; returns the text.
Render = Callable[[str, str, EventDict, int], str]
KEPT_S = 0.01
MOST_KEPT = 500
PIPE_BYTES = 4096  # PIPE_BUF of pipe(7): so much a pipe takes whole or not at all
_UNHURRIED = frozenset({"debug", "info"})
_FIXED = frozenset({str, int, float, bool, type(None)})  # what they hold cannot change until they are written
_TEXT = frozenset({str})


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream.

    Lines about ordinary work come from many tasks of an event loop. They are kept for 10 ms, rendered one after the other
    and written together, which takes half of the processor time. Anything else is written at once, after them. A process
    that is killed loses the lines it kept.
    """

    def __init__(self, stream: TextIO, render: Render) -> None:
        """Keep lines of the thread that calls this; another one writes at once."""
        super().__init__(stream)
        self._render = render
        self._thread = get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None  # which will write what is kept
        self._kept: list[tuple[str, str, EventDict, int]] = []

    def keep(self, level: str, name: str, fields: EventDict) -> bool:
        """Keep a line for a moment; return whether that is possible."""
        if level not in _UNHURRIED or get_ident() != self._thread or "exc_info" in fields:
            return False
        if not _FIXED.issuperset(map(type, fields.values())) and not _copy_lists(fields):
            return False
        loop = asyncio._get_running_loop()  # noqa: SLF001 -- public by its documentation; the other one raises where there is none
        if loop is None:
            return False
        at_ns = time.time_ns()
        if self._kept and (len(self._kept) >= MOST_KEPT or at_ns - self._kept[0][3] > KEPT_S * 1e9):
            self.write_kept()  # the event loop is late
        if loop is not self._loop:
            self._loop = loop
            loop.call_later(KEPT_S, self.write_kept)
        self._kept.append((level, name, fields, at_ns))
        return True

    def write_kept(self) -> None:
        """Write the lines that were kept."""
        if self._kept and get_ident() == self._thread:
            kept, self._kept, self._loop = self._kept, [], None
            self._write([self._render_any(*line) for line in kept])

    def write(self, line: str) -> None:
        """Write a line now."""
        self.write_kept()
        self._write([line])

    def emit(self, record: logging.LogRecord) -> None:
        """Write a library's record."""
        self.write_kept()
        super().emit(record)

    def _render_any(self, level: str, name: str, fields: EventDict, at_ns: int) -> str:
        """Render a line; where that fails, one that says so: whoever writes what is kept has logged none of it."""
        try:
            return self._render(level, name, fields, at_ns)
        except Exception as error:  # noqa: BLE001 -- one line must not cost the others
            told = {
                "event": "log.line_failed",
                "line": str(fields.get("event")),
                "error": type(error).__name__,
            }
            return self._render("error", name, told, at_ns)

    def _write(self, lines: Sequence[str]) -> None:
        self.acquire()
        try:
            for piece in _join(lines):
                self.stream.write(piece)
                self.stream.flush()
        except (OSError, ValueError):
            return  # as in the library's own handlers, a log that cannot be written (its reader is gone) stops no work
        finally:
            self.release()


def _join(lines: Sequence[str]) -> Iterator[str]:
    """Join lines to pieces of at most PIPE_BYTES, unless one line is longer: a signal that comes meanwhile cuts none off."""
    piece, size = "", 0
    for line in lines:
        length = len(line.encode("utf-8", "surrogatepass")) + 1
        if size and size + length > PIPE_BYTES:
            yield piece
            piece, size = "", 0
        piece += line + "\n"
        size += length
    yield piece


def _copy_lists(fields: EventDict) -> bool:
    """Put copies of lists of texts into a line; return whether its caller can change nothing else in it."""
    for name, value in fields.items():
        if type(value) not in _FIXED:
            if type(value) is not list or not _TEXT.issuperset(map(type, value)):
                return False
            fields[name] = value[:]
    return True


def make_logger_class(level: int, handler: LineHandler, last_processor: Processor) -> type[Any]:
    """Return structlog's class of loggers for a level, whose lines take fewer steps: each attempt writes one.

    `last_processor` is that of the configuration; with another one, as tests have it, no line is kept.
    """
    filtering: Any = structlog.make_filtering_bound_logger(level)

    class Logger(filtering):  # type: ignore[misc]  # it is made at run time
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> None:
            line: Any = {**self._context, **fields} if self._context else fields
            if event is not None:
                line["event"] = event
            logger, processors = self._logger, self._processors
            if processors[-1] is last_processor and handler.keep(method_name, logger.name, line):
                return
            try:
                for process in processors:
                    line = process(logger, method_name, line)
            except structlog.DropEvent:
                return
            getattr(logger, method_name)(line)

    return Logger


class Loggers:
    """A factory of loggers that have their module's name and write rendered lines.

    structlog asks it for each line of a module's logger, so it makes only one for each name.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        """Let them write with this function."""
        self._write = write
        self._made: dict[str, _Lines] = {}

    def __call__(self, *args: str) -> "_Lines":
        """Return the logger of this name, or of the calling module's."""
        name = args[0] if args else _name_caller()
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = _Lines(name, self._write)
        return made


class _Lines:
    """The logger that structlog calls; its name goes into each event."""

    def __init__(self, name: str, write: Callable[[str], None]) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = write


def _name_caller() -> str:
    """Return the name of the module that logs: the first on the stack that is not structlog's."""
    frame = sys._getframe(2)  # noqa: SLF001 -- public by its documentation, and a third of the time of structlog's own search
    while (name := frame.f_globals.get("__name__", "")).startswith("structlog") and frame.f_back:
        frame = frame.f_back
    return str(name)

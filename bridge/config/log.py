"""Logging: one event name per line, ids as fields, secrets masked."""

import atexit
import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.config.log_lines import LineHandler, Loggers, make_logger_class
from bridge.config.log_masking import mask_secrets
from bridge.config.settings import Settings
from bridge.domain.printable import printable, printable_json

# For `arq --custom-log-dict`: arq must not add a handler of its own beside ours.
ARQ_LOGGING = {"version": 1, "disable_existing_loggers": False}


def configure_logging(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send the bridge's events and every library's log records to one stream (by default standard error), masked.

    The bridge logs one event per attempt, so its events do not take the slower way through the library's records.
    """
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared = [_show_exception, mask_secrets, _add_origin]
    renderers: list[Processor] = (
        [_render_json] if as_json else [_escape_values, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )

    def render(method: str, name: str, fields: EventDict, at_ns: int) -> str:
        line: Any = mask_secrets(None, method, fields)
        _note_origin(line, name, method, at_ns)
        for each in renderers:
            line = each(None, method, line)
        return str(line)

    handler = LineHandler(stream, render)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=make_logger_class(level, handler, renderers[-1]),
        logger_factory=Loggers(handler.write),
        cache_logger_on_first_use=False,
    )
    atexit.register(handler.write_kept)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Access lines contain paths with queries; the API logs requests itself.
    logging.getLogger("aiohttp.access").setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> Any:
    """Return a logger that takes an event name and ids by keyword."""
    return structlog.get_logger(name)


def _format_exception(exc_info: Any) -> str:
    """Return the traceback without the values of local variables."""
    return logging.Formatter().formatException(exc_info)


_render_exception = structlog.processors.ExceptionRenderer(_format_exception)


def _show_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return _render_exception(logger, method, event) if "exc_info" in event else event


def _add_origin(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    _note_origin(event, logger.name if record is None else record.name, method, time.time_ns())
    return event


def _note_origin(event: EventDict, name: str, level: str, at_ns: int) -> None:
    """Add logger, level and time; after masking, since none of them can be a secret."""
    event["logger"] = name
    event["level"] = level
    seconds, nanos = divmod(at_ns, 1_000_000_000)
    event["timestamp"] = f"{_format_second(seconds)}.{nanos // 1000:06}Z"


@lru_cache(maxsize=2)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_encode = msgspec.json.Encoder().encode


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return printable_json(_to_json(event))


def _escape_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what would steer a terminal; values that are no text are shown by `repr`, which does so too."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value, lines=name == "exception")
    return event


def _to_json(event: EventDict) -> str:
    try:
        return _encode(event).decode()
    except (TypeError, ValueError):  # a lone surrogate, which only json writes, or a type unknown to msgspec
        return json.dumps(event, ensure_ascii=False, default=str)

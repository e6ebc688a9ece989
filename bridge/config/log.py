"""Logging: one event name per line, ids as fields, secrets masked."""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.config.settings import Settings
from bridge.domain.printable import printable, printable_json
from bridge.providers.registry import list_key_prefixes

MASK = "…"
MAX_DEPTH = 6
# For `arq --custom-log-dict`: arq must not add a handler of its own beside ours.
ARQ_LOGGING = {"version": 1, "disable_existing_loggers": False}

_KEY_PREFIXES = ("brk_", *list_key_prefixes(), "whsec_")
_SECRET_WORD = re.compile(
    rf"(?<![A-Za-z0-9])({'|'.join(map(re.escape, _KEY_PREFIXES))})[A-Za-z0-9+/=_.-]{{4,}}"
)
_PLAIN = frozenset({int, float, bool, type(None)})
_TEXT = frozenset({str})
_URL_LOGIN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@\"'<>]+@")
_URL_QUERY = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s?#\"'<>]{1,4096})[?#][^\s\"'<>]+")
_PAIR = re.compile(
    r"(?i)((?:api_?key|access_token|token|secret|password|signature)(?:[\"']\s*:|[\"']?\s*=)\s*[\"']?|x-api-key:\s*)"
    r"[^\s&\"',;}]{4,}"
)
_LOGIN_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=_.~-]{6,}")
_SECRET_FIELD = re.compile(
    r"(?i)^(authorization|cookie|set-cookie|x-api-key|api_?key|secret|password|credential|master_keys?)$"
)


def mask_text(text: str) -> str:
    """Return a text with keys, signing secrets, user names and passwords, and the queries of URLs masked."""
    if "://" in text:
        text = _URL_QUERY.sub(rf"\1?{MASK}", text)
        text = _URL_LOGIN.sub(rf"\1{MASK}@", text)
    if " " in text or "\t" in text:
        text = _LOGIN_HEADER.sub(rf"\1 {MASK}", text)
    if _has_key_prefix(text):
        text = _SECRET_WORD.sub(rf"\1{MASK}", text)
    if "=" in text or ":" in text:
        text = _PAIR.sub(rf"\1{MASK}", text)
    return text


def _has_key_prefix(text: str) -> bool:
    """Return whether a key may be in a text, which is much cheaper to find out than where."""
    for prefix in _KEY_PREFIXES:  # noqa: SIM110 -- any() takes three times as long, and every text that is logged comes here
        if prefix in text:
            return True
    return False


def mask_value(value: Any, *, depth: int = 0) -> Any:
    """Mask inside strings, bytes, mappings and sequences; what is nested too deeply is masked as a whole."""
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {
            mask_text(str(name)): MASK
            if _is_secret(str(name)) and inner
            else mask_value(inner, depth=depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(inner, depth=depth + 1) for inner in value]
    if isinstance(value, bytes | bytearray):
        return mask_text(bytes(value).decode("utf-8", "replace"))
    return mask_text(str(value))


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets in an event, as the last line of defence: callers must not log them in the first place."""
    texts: list[str] = []
    for value in event.values():
        if type(value) is str:
            texts.append(value)
        elif type(value) is list and _TEXT.issuperset(map(type, value)):
            texts += value
        elif type(value) not in _PLAIN:
            return _mask_each(event)
    # Most lines are ids and numbers: one check of all texts together is enough. No pattern needs a text's end.
    together = "\n".join(texts)
    if _has_secret_name(tuple(event)) or mask_text(together) != together:
        return _mask_each(event)
    return event


def _mask_each(event: EventDict) -> EventDict:
    for name, value in event.items():
        if value is None or name.startswith("_"):  # structlog's own names begin with one
            continue
        event[name] = MASK if _is_secret(name) and value else mask_value(value)
    return event


@lru_cache(maxsize=1024)
def _has_secret_name(names: tuple[str, ...]) -> bool:
    return any(_is_secret(name) for name in names)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_FIELD.match(name) is not None


def configure_logging(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send the bridge's events and every library's log records to one stream (by default standard error), masked.

    The bridge logs one event per attempt, so its events do not take the slower way through the library's records.
    """
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared = _shared_processors()
    renderers: list[Processor] = (
        [_render_json] if as_json else [_escape_values, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=_make_logger_class(level),
        logger_factory=_Loggers(_write_lines(stream, handler)),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Access lines contain paths with queries; the API logs requests itself.
    logging.getLogger("aiohttp.access").setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> Any:
    """Return a logger that takes an event name and ids by keyword."""
    return structlog.get_logger(name)


def _make_logger_class(level: int) -> type[Any]:
    """Return structlog's class of loggers for a level, whose lines take fewer steps: each attempt writes one."""
    filtering: Any = structlog.make_filtering_bound_logger(level)

    class Logger(filtering):  # type: ignore[misc]  # it is made at run time
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> None:
            line: Any = {**self._context, **fields} if self._context else fields
            if event is not None:
                line["event"] = event
            try:
                for process in self._processors:
                    line = process(self._logger, method_name, line)
            except structlog.DropEvent:
                return
            getattr(self._logger, method_name)(line)

    return Logger


class _Loggers:
    """A factory of loggers that have their module's name and write rendered lines.

    structlog asks it for each line of a module's logger, so it makes only one for each name.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._made: dict[str, _Lines] = {}

    def __call__(self, *args: str) -> "_Lines":
        name = args[0] if args else _name_caller()
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = _Lines(name, self._write)
        return made


def _name_caller() -> str:
    """Return the name of the module that logs: the first on the stack that is not structlog's."""
    frame = sys._getframe(2)  # noqa: SLF001 -- public by its documentation, and a third of the time of structlog's own search
    while (name := frame.f_globals.get("__name__", "")).startswith("structlog") and frame.f_back:
        frame = frame.f_back
    return str(name)


class _Lines:
    """The logger that structlog calls; its name goes into each event."""

    def __init__(self, name: str, write: Callable[[str], None]) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = write


def _write_lines(stream: TextIO, handler: logging.Handler) -> Callable[[str], None]:
    """Return a function that writes lines to a handler's stream, under the handler's lock."""

    def write(line: str) -> None:
        handler.acquire()
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            return  # as in the library's own handlers, a log that cannot be written (its reader is gone) stops no work
        finally:
            handler.release()

    return write


def _shared_processors() -> list[Processor]:
    return [_show_exception, mask_secrets, _add_origin]


def _format_exception(exc_info: Any) -> str:
    """Return the traceback without the values of local variables."""
    return logging.Formatter().formatException(exc_info)


_render_exception = structlog.processors.ExceptionRenderer(_format_exception)


def _show_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return _render_exception(logger, method, event) if "exc_info" in event else event


def _add_origin(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add logger, level and time; after masking, since none of them can be a secret."""
    record = event.get("_record")
    event["logger"] = logger.name if record is None else record.name
    event["level"] = method
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    event["timestamp"] = f"{_format_second(seconds)}.{nanos // 1000:06}Z"
    return event


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

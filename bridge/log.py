"""Logging: one event name a line, ids as fields, and nothing in it that looks like a secret."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.settings import Settings

MASK = "…"
MAX_DEPTH = 6
# For `arq --custom-log-dict`: arq must not add a handler of its own beside ours.
ARQ_LOGGING = {"version": 1, "disable_existing_loggers": False}

_SECRET_WORD = re.compile(r"(?<![A-Za-z0-9])(brk_|rm_|rb_live_|rb_test_|whsec_)[A-Za-z0-9+/=_.-]{4,}")
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
    """The same text with keys, signing secrets, logins and the queries of URLs cut out."""
    if "://" in text:
        text = _URL_QUERY.sub(rf"\1?{MASK}", text)
        text = _URL_LOGIN.sub(rf"\1{MASK}@", text)
    if " " in text:
        text = _LOGIN_HEADER.sub(rf"\1 {MASK}", text)
    if "_" in text:
        text = _SECRET_WORD.sub(rf"\1{MASK}", text)
    if "=" in text or ":" in text:
        text = _PAIR.sub(rf"\1{MASK}", text)
    return text


def mask_value(value: Any, *, depth: int = 0) -> Any:
    """Mask inside strings, bytes, mappings and sequences; what is nested deeper than is sane becomes a mask."""
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {
            mask_text(str(name)): MASK
            if _SECRET_FIELD.match(str(name)) and inner
            else mask_value(inner, depth=depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(inner, depth=depth + 1) for inner in value]
    if isinstance(value, bytes | bytearray):
        return mask_text(bytes(value).decode("utf-8", "replace"))
    return mask_text(str(value))


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last line of defence: callers must not log secrets, and what slips through ends here."""
    # Names that begin with an underscore are structlog's own.
    for name in [name for name in event if not name.startswith("_")]:
        event[name] = MASK if _SECRET_FIELD.match(name) and event[name] else mask_value(event[name])
    return event


def configure_logging(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send the bridge's events and every library's log records to one stream (standard error), masked."""
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_endings(as_json=as_json, colors=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Access lines hold paths with queries; the API logs its own.
    logging.getLogger("aiohttp.access").setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> Any:
    """A logger that takes an event name and ids by keyword."""
    return structlog.get_logger(name)


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _endings(*, as_json: bool, colors: bool) -> list[Processor]:
    plain_traceback = structlog.processors.ExceptionRenderer(_format_exception)
    if as_json:
        return [plain_traceback, mask_secrets, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [plain_traceback, mask_secrets, structlog.dev.ConsoleRenderer(colors=colors)]


def _format_exception(exc_info: Any) -> str:
    """The traceback without the values of local variables."""
    return logging.Formatter().formatException(exc_info)

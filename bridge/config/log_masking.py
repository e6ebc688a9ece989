"""Masking of secrets in what is logged: keys, passwords, signatures, the queries of URLs."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from structlog.typing import EventDict, WrappedLogger

from bridge.providers.registry import list_key_prefixes

MASK = "…"
MAX_DEPTH = 6
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

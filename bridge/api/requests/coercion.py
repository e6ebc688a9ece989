"""Convert values as no-code tools send them into a field's type; each reader raises ValueError that names the fix."""

import json
import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

MAX_METADATA_BYTES = 4096
MONTH_S = 30 * 86400
MAX_EVENTS = 50
MAX_EVENTS_CHARS = 8192
# ASCII white space; line ends, fixed and wide blanks of Unicode; zero-width space; byte order mark.
PASTED = " \t\r\n\v\f\x85\xa0\u200b\u2028\u2029\u202f\u3000\ufeff"
WORDS_FIX = 'use a list of texts, such as ["completed", "failed"], or text with commas between'
_FLAGS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def _read_flag(value: Any) -> Any:
    if isinstance(value, str):
        value = _FLAGS.get(value.strip().casefold(), value)
    if isinstance(value, int | float) and value in (0, 1):
        value = bool(value)
    if not isinstance(value, bool):
        raise ValueError("use true or false")  # noqa: TRY004 -- pydantic turns ValueError into the field's error
    return value


def _read_seconds(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("use a number of seconds, such as 600")  # noqa: TRY004 -- as above
    if isinstance(value, str):
        value = value.strip()
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError("use a number of seconds, such as 600")
    return seconds


def _read_words(value: Any) -> Any:
    """Return a list of words from a list, or from text with commas."""
    if isinstance(value, str):
        value = _parse_json(value) if value.lstrip().startswith("[") else [value]
    if not isinstance(value, list):
        raise ValueError(WORDS_FIX)  # noqa: TRY004 -- as above
    if len(value) > MAX_EVENTS:
        raise ValueError(f"at most {MAX_EVENTS} entries")
    if not all(isinstance(each, str) for each in value):
        raise ValueError(WORDS_FIX)
    if sum(map(len, value)) > MAX_EVENTS_CHARS:
        raise ValueError(f"at most {MAX_EVENTS} entries, and {MAX_EVENTS_CHARS} characters in all")
    words = [word for each in value for word in (part.strip() for part in each.split(",")) if word]
    if len(words) > MAX_EVENTS:
        raise ValueError(f"at most {MAX_EVENTS} entries")
    return words


def _read_object(value: Any) -> Any:
    if isinstance(value, str):
        value = _parse_json(value)
    if not isinstance(value, dict):
        raise ValueError('use an object, such as {"X-Key": "value"}')  # noqa: TRY004 -- as above
    return {name: _read_header_value(name, each) for name, each in value.items() if each is not None}


def _read_header_value(name: str, value: Any) -> str:
    """Return a header's value as text, also where a tool sent a number."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"the value of {name[:40]!r} must be text: put it in quotes")  # noqa: TRY004 -- as above
    return value


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not readable as JSON: send an object, or its JSON text") from None


def _read_metadata(value: Any) -> Any:
    if not isinstance(value, dict | str):
        raise ValueError("use an object or text")  # noqa: TRY004 -- as above
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    if size > MAX_METADATA_BYTES:
        raise ValueError(
            f"at most {MAX_METADATA_BYTES} bytes as JSON, this has {size}: keep a reference instead"
        )
    _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("a number has more than 64 bits: send it as text")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_numbers(inner)


def _strip_url(value: Any) -> Any:
    """Return a URL without the blanks, line breaks and invisible marks around it, which come with a copied text."""
    return value.strip(PASTED) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_read_flag)]
Url = Annotated[str, BeforeValidator(_strip_url)]
# The limits belong to the number, not to what may also be null: only there does its JSON Schema know them.
Seconds = Annotated[float, Field(ge=1, le=MONTH_S, allow_inf_nan=False), BeforeValidator(_read_seconds)]
WordList = Annotated[tuple[str, ...], BeforeValidator(_read_words)]
Headers = Annotated[dict[str, str], BeforeValidator(_read_object)]
Metadata = Annotated[dict[str, Any] | str, BeforeValidator(_read_metadata)]

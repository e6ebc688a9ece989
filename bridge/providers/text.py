"""Make upstream text fit to show: one line, short, and free of anything that looks like a secret."""

import json
import re

REASON_CHARS = 200
MESSAGE_CHARS = 500
WORD_CHARS = 100

_MASK = "…"
_BEARER = re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:api[\s_-]?key|token|secret|password|passwd|credential|authorization|signature)\b[\"']?\s*[:=]\s*)"
    r"(?:bearer\s+|basic\s+)?[\"']?[^\s\"',;&]+",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b(?:rm|rb_live|rb|brk|sk|pk|whsec)_[A-Za-z0-9+/=_.~-]+")
# What has the form of most keys: a short prefix, then letters and digits, with a digit among the letters.
_KEY_LIKE = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z]{2,10}[_-](?=[A-Za-z]*\d)[A-Za-z0-9]{16,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*")
_URL_USER = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@?#]+@", re.IGNORECASE)
_URL_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s?#]*)[?#]\S*", re.IGNORECASE)
# Longer than a UUID's 36 characters, so that ids stay readable.
_OPAQUE = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_KEPT_HEAD, _KEPT_TAIL = 8, 4  # characters of a masked word that tell which one it was
# A mask may only look at so much, or a hostile megabyte would cost seconds.
_LOOK_AT_CHARS = 2_000


def show(text: str, *, limit: int = REASON_CHARS) -> str:
    """Return one printable line of at most `limit` characters, with keys, tokens and URL queries masked."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_LOOK_AT_CHARS]).split())
    line = _URL_USER.sub(rf"\1{_MASK}@", line)
    line = _URL_QUERY.sub(rf"\1?{_MASK}", line)
    line = _NAMED.sub(rf"\1{_MASK}", line)
    line = _BEARER.sub(rf"\1 {_MASK}", line)
    for pattern in (_JWT, _KEY, _KEY_LIKE):
        line = pattern.sub(_MASK, line)
    line = _OPAQUE.sub(_cut_opaque, line)
    return line if len(line) <= limit else line[: limit - 1] + _MASK


def _cut_opaque(found: re.Match[str]) -> str:
    """Return a long word without its middle if it may be a key; one without a digit is an ordinary word."""
    word = found[0]
    if not any(each.isdigit() for each in word):
        return word
    return f"{word[:_KEPT_HEAD]}{_MASK}{word[-_KEPT_TAIL:]}"


def json_beginning(value: object, characters: int) -> str:
    """Return the beginning of a value's JSON without encoding the rest of it."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece[:characters]
        if len(text) >= characters:
            break
    return text[:characters]


def name_type(value: object) -> str:
    """Return a JSON value's type in brackets, to show in the place of a word that was expected."""
    match value:
        case None:
            return "(nothing)"
        case bool():
            return "(boolean)"
        case int() | float():
            return "(number)"
        case str():
            return "(text)"
        case list():
            return "(list)"
        case _:
            return "(object)"

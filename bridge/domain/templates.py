"""Find what a tool leaves in a field when nobody filled in its template: `{{job.id}}`, `undefined`, `[object Object]`.

A registration with such an id or URL would be accepted, watched, and end as not found, or be sent to nowhere.
"""

import re
from urllib.parse import unquote

# Placeholders of n8n, Make and Zapier, and of JavaScript's template literals.
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\$\{|\[object Object\]", re.IGNORECASE)
_NOTHING = frozenset({"undefined", "null"})
_NOTHING_AS_ID = _NOTHING | {"none", "nan"}  # Python's words, which a URL may hold for good reasons
_SEPARATORS = re.compile(r"[/?&=#;,:@]+")
_URL_SUSPECT = re.compile(
    r"\{|\}|\[|%|undefined|null", re.IGNORECASE
)  # without one of these there is no placeholder


def find_unfilled_id(text: str) -> str | None:
    """Return the placeholder in an id, as it stands there; None for an id that was filled in."""
    return _find(text, [text], _NOTHING_AS_ID)


def find_unfilled_url(text: str) -> str | None:
    """Return the placeholder in a URL, also a percent-encoded one; None for a URL that was filled in.

    A word such as `undefined` counts where it is a whole part of the path or the query.
    """
    if text.isascii() and _URL_SUSPECT.search(text) is None:
        return None
    plain = unquote(text)
    return _find(plain, _SEPARATORS.split(plain), _NOTHING)


def describe_unfilled(unfilled: str) -> str:
    """Return the error message for a placeholder, with the fix."""
    return (
        f"holds {unfilled!r}, so a template of your tool was not filled in: check that the step before gives this "
        "value, and send the value itself"
    )


def _find(text: str, parts: list[str], words: frozenset[str]) -> str | None:
    found = _PLACEHOLDER.search(text)
    if found is not None:
        return found[0]
    return next((part for part in parts if part.strip().casefold() in words), None)

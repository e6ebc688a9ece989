"""Find fields whose names are spelt in another way than the API's, such as `jobId`."""

import re
from collections.abc import Iterable

MOST_NAMES = 100  # looked at; a request with more has no field that somebody misspelt
_MARKS = re.compile(r"[^a-z0-9]+")


def explain_spelling(names: Iterable[str], wanted: Iterable[str]) -> str:
    """Return the end of a message that names a field of a request which is a wanted one in another spelling.

    Empty if there is none. Such a field is not taken, since unknown fields are not either.
    """
    folded = {_fold(name): name for name in sorted(wanted)}
    for name, _ in zip(names, range(MOST_NAMES), strict=False):
        meant = folded.get(_fold(name))
        if meant is not None and meant != name:
            return f"; {name[:100]!r} is spelt {meant} here"
    return ""


def _fold(name: str) -> str:
    return _MARKS.sub("", name[:100].lower())

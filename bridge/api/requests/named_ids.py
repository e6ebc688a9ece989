"""Find what may be a job's id in a notice whose form is not known. No I/O."""

from collections.abc import Iterator

MOST_IDS = 50
MAX_ID_CHARS = 200
MOST_VALUES = 10_000
_ENDINGS = ("id", "ids")


def list_named_ids(notice: object) -> list[str]:
    """Return the values of all fields whose names end in `id` or `ids`, each once, in their order, at most 50.

    Names are compared without case, so `jobId` counts, and a list's values count one by one.
    """
    found: dict[str, None] = {}
    for value in _walk(notice):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if (isinstance(value, str) or is_number) and 0 < len(str(value)) <= MAX_ID_CHARS:
            found[str(value)] = None
        if len(found) == MOST_IDS:
            break
    return list(found)


def _walk(notice: object) -> Iterator[object]:
    """Yield the values of fields that may hold ids; of a large notice the first ones."""
    left = [("", notice)]
    for _ in range(MOST_VALUES):
        if not left:
            return
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(str(key).casefold(), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            left += [(name, inner) for inner in reversed(value)]
        elif name.endswith(_ENDINGS):
            yield value

"""Read one status word against a kind's tables."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from bridge.domain.observation import Ending
from bridge.providers.spec import ExtraWords, KindSpec, Lens
from bridge.providers.text import MESSAGE_CHARS, WORD_CHARS, json_beginning, name_type, show

# No word of a table is near this; a megabyte of blanks around one is no word.
_LONGEST_WORD = 200
_SEPARATORS = re.compile(r"[\s_./\\:-]+")


class Word(Struct, frozen=True, kw_only=True, gc=False):
    """What a status word means: it ends the job, shows progress, is merely queued, or stands in no table."""

    status: str
    ending: str | None = None
    progress: str | None = None
    unknown: str | None = None

    @property
    def queued(self) -> bool:
        """Whether the word is known and says that nothing has begun."""
        return self.ending is None and self.progress is None and self.unknown is None


def fold(word: str, *, loose: bool) -> str:
    """Return a word as the tables spell it: in lower case, and for a `loose` kind without separators."""
    folded = word.strip().casefold()
    return _SEPARATORS.sub("", folded) if loose else folded


def read_word(kind: KindSpec, data: Mapping[str, Any], lens: Lens) -> Word:
    """Look an object's status up in its kind's tables; a missing or strange one is unknown, never an end."""
    raw = data.get(kind.status_field)
    if raw is None and kind.null_status_is_queued:
        return Word(status="")
    if not isinstance(raw, str):
        return Word(status="", unknown=name_type(raw))
    folded = fold(raw[:_LONGEST_WORD], loose=kind.loose_words)
    if kind.extra_words and (extra := _read_extra(folded, lens.words)):
        return Word(status=show(raw, limit=WORD_CHARS), ending=extra)
    if folded in kind.ends:
        return Word(status=_show_known(raw), ending=kind.ends[folded])
    if folded in kind.runs:
        return Word(status=_show_known(raw), progress=kind.runs[folded])
    status = show(raw, limit=WORD_CHARS)
    return Word(status=status, unknown=status or "(empty)")


def _show_known(raw: str) -> str:
    # A word of the tables holds no secret: the common case is spared the masks, which cost more than all the rest.
    return raw if raw.isprintable() and len(raw) <= WORD_CHARS else show(raw, limit=WORD_CHARS)


def _read_extra(folded: str, words: ExtraWords) -> str | None:
    # Failed first: where an operator names a word twice, a success must not be claimed.
    for ending, named in (("failed", words.failed), ("completed", words.done)):
        if folded and folded in {fold(word, loose=True) for word in named}:
            return ending
    return None


def read_ending(kind: KindSpec, word: str | None, data: Mapping[str, Any]) -> Ending | None:
    """Return the ending that a word stands for, with the upstream's reason unless it succeeded; None while running."""
    if word is None:
        return None
    outcome = kind.ending_words[word]
    return Ending(
        word=word, outcome=outcome, message=None if outcome == "succeeded" else read_message(kind, data)
    )


def read_message(kind: KindSpec, data: Mapping[str, Any]) -> str | None:
    """Return the upstream's own reason as text: the first of the kind's error fields that holds anything."""
    for name in kind.error_fields:
        if shown := show(_say(data.get(name)), limit=MESSAGE_CHARS):
            return shown
    return None


def _say(value: object) -> str:
    """Return a reason as text: an object's `message`, else the beginning of the value's JSON."""
    if isinstance(value, Mapping) and isinstance(said := value.get("message"), str) and said.strip():
        return said
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool) or value in ({}, []):
        return ""
    return json_beginning(value, 2 * MESSAGE_CHARS)


def read_id(value: object) -> str | None:
    """Return an id as text, None for anything but a printable string or a whole number of sane length."""
    if isinstance(value, str):
        return value if 0 < len(value) <= 200 and value.isprintable() else None
    if isinstance(value, int) and not isinstance(value, bool):
        # Wider than any id, and Python refuses to write integers of thousands of digits.
        return str(value) if abs(value) < 10**40 else None
    return None


def read_related(kind: KindSpec, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids of what the object belongs to, as far as it names them."""
    return {name: found for name in kind.related_fields if (found := read_id(data.get(name)))}

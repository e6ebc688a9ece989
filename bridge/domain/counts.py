"""Numbers with their nouns, as people read them."""


def choose_form(count: int, one: str, many: str | None = None) -> str:
    """Return the words for so many things: `one` for a single one, else `many`, by default `one` with an s."""
    if count == 1:
        return one
    return f"{one}s" if many is None else many


def say_count(count: int, one: str, many: str | None = None) -> str:
    """Return a number and its words, as `1 job` or `1,200 jobs`; see `choose_form`."""
    return f"{count:,} {choose_form(count, one, many)}"

"""What may come of a job, as its provider documents it."""

from msgspec import Struct


class ChildRule(Struct, frozen=True, kw_only=True):
    """Jobs of `kind` may come of one of kind `of` that has succeeded.

    Which ones is said by the child, whose list `list_field` names in `name_field` a part of the former job; or, with
    `by_persona`, by nothing: then those count that begin for the job's persona until `within_s` (unscaled) after its end.
    A review of the former job ends with the word `refused_by` if nothing comes of it, and with `confirmed_by` once
    something has; so long it may take `within_s`.
    """

    of: str
    kind: str
    within_s: float
    by_persona: bool = False
    list_field: str = ""
    name_field: str = ""
    refused_by: str = ""
    confirmed_by: str = ""

    @property
    def has_review(self) -> bool:
        """Whether a review decides what comes of the job, so that it is read on after its end."""
        return bool(self.refused_by)

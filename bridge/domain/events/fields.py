"""How the fields of an event's `data` are described: `flat` lays them out, the schemas are made of them."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """A field's JSON type."""

    TEXT = "string"
    NUMBER = "integer"
    FLAG = "boolean"
    OBJECT = "object"
    LIST = "array"


class Role(StrEnum):
    """What a field tells of an object, where `flat` shows it for each entry of a list and not for the first alone."""

    NAME = "name"  # which object it is, and how it stands
    OUTPUT = "output"  # where the file is that was made
    ERROR = "error"  # why it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an object; `parts` are the fields of a list's entries, `part` their name in `flat`."""

    name: str
    shape: Shape = Shape.TEXT
    note: str = ""
    format: str = ""
    role: Role | None = None
    part: str = ""
    parts: tuple["Field", ...] = ()


def text_fields(*names: str) -> tuple[Field, ...]:
    """Return a text field for each name."""
    return tuple(Field(name=name) for name in names)


def time_fields(*names: str) -> tuple[Field, ...]:
    """Return a field that holds an ISO 8601 time for each name."""
    return tuple(Field(name=name, format="date-time") for name in names)


ID = Field(name="id", note="The provider's id of the object.", role=Role.NAME)
STATUS = Field(name="status", note="The provider's own word.", role=Role.NAME)
ERROR_MESSAGE = Field(name="error_message", note="The provider's reason, once it failed.", role=Role.ERROR)

"""Types for fields that take one of some words which are only known at run time, such as the kinds of jobs."""

from collections.abc import Iterable

from pydantic import GetPydanticSchema
from pydantic_core import core_schema


def one_of(words: Iterable[str]) -> GetPydanticSchema:
    """Return an annotation that makes pydantic treat a `str` as the `Literal` of some words."""
    schema = core_schema.literal_schema(list(words))
    return GetPydanticSchema(lambda _source, _handler: schema)

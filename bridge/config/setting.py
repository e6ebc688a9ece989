"""Fields of `Settings`: a default, a line of help, and how to mend a bad value."""

from typing import Any

from pydantic import Field

REDIS_FIX = "use redis://HOST:PORT/DB, rediss://… or unix:///path/to/socket"
SIZE_FIX = "use a number with kb, mb or gb, such as 512mb; at least 1mb"
SWITCH_FIX = "use true or false"
URL_FIX = "use an http:// or https:// address without query"
UPSTREAM_FIX = "use an http:// or https:// address without query, user name and password, other letters in its host as xn--…"
KEY_FIX = "paste the key again, without quotes or spaces"
WORDS_FIX = "use words with commas between"


def setting(default: Any, meaning: str, *, fix: str, env: str | None = None, **limits: Any) -> Any:
    """Return a field with its line of `--help` and the advice that an error message gives for a bad value."""
    return Field(
        default=default, description=meaning, json_schema_extra={"fix": fix}, validation_alias=env, **limits
    )

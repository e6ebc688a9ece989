"""Describe the settings for `--help`: name, default, meaning."""

import textwrap
from collections.abc import Iterator
from typing import Any

from bridge.config.settings import Settings, variable_name
from bridge.config.value_types import SECONDS_PER_UNIT

WIDTH = 100


def describe_settings() -> str:
    """Return one paragraph per setting, in the order in which `Settings` declares them."""
    return "\n".join(_describe())


def _describe() -> Iterator[str]:
    yield "settings (environment, or .env in the working directory):"
    for name, field in Settings.model_fields.items():
        default = _show_default(name, field.default)
        yield f"  {variable_name(name)}" + (f"={default}" if default else "")
        yield from textwrap.wrap(
            field.description or "", WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )


def _show_default(name: str, value: Any) -> str:
    if value is None or value == ():
        return ""
    if name == "retention":
        return _show_duration(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return str(value)


def _show_duration(seconds: int) -> str:
    for unit in ("d", "h", "m"):
        if seconds % SECONDS_PER_UNIT[unit] == 0:
            return f"{seconds // SECONDS_PER_UNIT[unit]}{unit}"
    return f"{seconds}s"

"""The README says what the code does: its settings table and its schedule are the code's own."""

from pathlib import Path

from bridge.config.settings import DEFAULT_RETRY_SCHEDULE, Settings, variable_name

README = (Path(__file__).parents[2] / "README.md").read_text()


def between(mark: str) -> str:
    """Give what stands between a pair of marks."""
    return README.split(f"<!-- {mark} -->\n")[1]


def settings_rows() -> str:
    """Write the settings as the README's table has them."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = ",".join(f"{each:g}" for each in default) if isinstance(default, tuple) else str(default)
        rows.append(
            f"| `{variable_name(name)}` | {'' if default in (None, ()) else f'`{shown}`'} | {field.description} |"
        )
    return "\n".join(rows) + "\n"


def test_the_settings_table_is_the_codes_own() -> None:
    """Every setting stands in the README with its default and meaning."""
    assert between("settings") == settings_rows()


def test_the_retry_schedule_is_told_in_words() -> None:
    """The table of answers names the schedule's waits."""
    words = "2 s, 5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h"
    units = {"s": 1, "min": 60, "h": 3600}
    told = [float(n) * units[unit] for n, unit in (each.split() for each in words.split(", "))]
    assert words in README
    assert tuple(told) == DEFAULT_RETRY_SCHEDULE

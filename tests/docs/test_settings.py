"""Every setting is documented as it is, and no page names one that does not exist."""

import re
from typing import Any

import pytest

from bridge.config.settings import Settings, variable_name
from tests.docs.pages import NAMES, between, read

VARIABLES = [variable_name(name) for name in Settings.model_fields]
# Set by hand for `reelbridge verify` and `trigger`, which ask for no other setting.
OF_COMMANDS = {"REELBRIDGE_SIGNING_SECRET"}
# Set for `make soak` by its own words ROUNDS and SEED.
OF_TESTS = {
    "REELBRIDGE_ENDPOINT_JOBS",
    "REELBRIDGE_SCREENSHOTS",
    "REELBRIDGE_SOAK_ROUNDS",
    "REELBRIDGE_SOAK_SEED",
}
README_ROWS = 10
DAY_S = 86_400
NAME = re.compile(r"\b(?:REELBRIDGE|REELMIRROR|REELBOT)_[A-Z_]+[A-Z]\b")


def show_default(name: str, default: Any) -> str:
    """Write a default as `.env` takes it, empty where there is none."""
    if default in (None, ()):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if name == "retention":
        return f"`{default // DAY_S}d`"
    if name == "project_quota":
        return f"`{default >> 30}gb`"
    if isinstance(default, tuple):
        return f"`{','.join(f'{each:g}' for each in default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def setting_rows() -> list[str]:
    """Write the settings as the documentation's table has them."""
    return [
        f"| `{variable_name(name)}` | {show_default(name, field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_the_table_is_the_codes_own() -> None:
    """`docs/settings.md` has every setting with its default and meaning, in the code's order."""
    assert between("docs/settings.md", "settings").splitlines()[2:] == setting_rows()


def test_the_readme_shows_some_of_them_as_they_are() -> None:
    """Its rows are rows of the whole table."""
    rows = between("README.md", "settings").splitlines()[2:]
    assert len(rows) == len(set(rows)) == README_ROWS
    assert set(rows) <= set(setting_rows())


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_that_is_named_exists(name: str) -> None:
    """A setting that was renamed or dropped is not promised any more; the changelog may name it."""
    if name != "CHANGELOG.md":
        assert set(NAME.findall(read(name))) - OF_COMMANDS - OF_TESTS <= set(VARIABLES)

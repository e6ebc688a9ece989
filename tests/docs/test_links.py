"""What the documentation points to is there: pages, headings, files, make targets, commands."""

import re
import subprocess
import sys

import pytest

from tests.docs.pages import NAMES, ROOT, read, without_code_blocks

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
# A path of this repository in inline code or in a block: `bridge/store/keys.py`, `tests/domain`.
PATH = re.compile(r"\b(?:bridge|workers|tests|deploy|docs)/[\w./<>-]*\w")
TARGET = re.compile(r"(?:^|`)make ([a-z0-9-]+)", re.MULTILINE)
COMMAND = re.compile(r"\breelbridge ([a-z]+)\b(?=[^\n`]*(?:`|$))", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")


def slugs(name: str) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    headings = HEADING.findall(without_code_blocks(read(name)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def relative_links(name: str) -> list[str]:
    """Return the links of a page that stay within the repository."""
    links = LINK.findall(without_code_blocks(read(name)))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    """File and heading of each relative link exist."""
    for link in relative_links(name):
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in slugs(target.relative_to(ROOT).as_posix()), f"{name}: {link}"


def test_every_page_is_reached_from_the_readme() -> None:
    """No page is an orphan: the README links each of them, or the page of its folder does."""
    linked = {*relative_links("README.md"), *(f"docs/{link}" for link in relative_links("docs/nocode.md"))}
    assert set(NAMES) - {"README.md"} <= {link.partition("#")[0] for link in linked}


@pytest.mark.parametrize("name", NAMES)
def test_every_path_that_is_named_exists(name: str) -> None:
    """A module that moved takes its mention along; placeholders have angle brackets, and the changelog is history."""
    named = [path for path in PATH.findall(read(name)) if "<" not in path and ">" not in path]
    if name != "CHANGELOG.md":
        assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_exists(name: str) -> None:
    """`make x` in a page is a rule of the Makefile."""
    rules = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.MULTILINE))
    assert set(TARGET.findall(read(name))) <= rules


@pytest.fixture(scope="module")
def commands() -> set[str]:
    """Return the commands that `reelbridge --help` lists."""
    shown = subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    return set(re.findall(r"^    ([a-z]+)(?: |$)", shown, re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_exists(name: str, commands: set[str]) -> None:
    """`reelbridge x` in a page's code is a command."""
    page = read(name)
    spoken = INLINE.findall(page) + re.findall(
        r"^(.*\breelbridge .*)$", "\n".join(_blocks(page)), re.MULTILINE
    )
    named = {found for text in spoken for found in re.findall(r"(?:^|/)reelbridge ([a-z]+)", text)}
    assert named <= commands
    assert commands


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

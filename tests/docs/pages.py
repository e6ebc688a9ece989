"""The documentation as tests read it: its pages, and what stands between a pair of marks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
README = ROOT / "README.md"
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    """Return a page, its path from the project's root."""
    return (ROOT / name).read_text()


def between(name: str, mark: str) -> str:
    """Return what stands between the pair of `<!-- mark -->` comments of a page."""
    _, inside, _ = read(name).split(f"<!-- {mark} -->\n")
    return inside


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of a Markdown table, without its head."""
    rows = [line.strip()[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def code_blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [code for named, code in _FENCE.findall(text) if named == language]


def without_code_blocks(text: str) -> str:
    """Return a page's prose: tables and inline code, but no fenced block."""
    return _FENCE.sub("", text)

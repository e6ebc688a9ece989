"""The documentation as tests read it: its pages, and what stands between a pair of marks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "deploy" / "RUNBOOK.md",
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
    """Return the cells of the Markdown tables in a text, without their heads."""
    rows: list[list[str]] = []
    lines = [*text.splitlines(), ""]
    for number, line in enumerate(lines):
        is_head = line.startswith("|") and lines[number + 1].startswith(("|---", "|:--"))
        if line.startswith("|") and not is_head and not line.startswith(("|---", "|:--")):
            rows.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
    return rows


def code_blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [code for named, code in _FENCE.findall(text) if named == language]


def without_code_blocks(text: str) -> str:
    """Return a page's prose: tables and inline code, but no fenced block."""
    return _FENCE.sub("", text)

"""What `make newest` needs: requirements without upper bounds, and what then differs from the lock file.

`python -m tests.newest loosen` prints the pins of `pyproject.toml` as lower bounds; `compare` prints which packages of
the running environment have another version than the lock file.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)


def loosen(requirements: Iterable[str]) -> list[str]:
    """Return requirements with each exact version as a lower bound; extras and markers stay."""
    return [requirement.replace("==", ">=", 1) for requirement in requirements]


def read_lock(text: str) -> dict[str, str]:
    """Return the version of each package in a lock file, as far as its marker is true of this Python and system."""
    return {
        _plain(name): version
        for name, version, marker in PINNED.findall(text)
        if not marker or Marker(marker).evaluate()
    }


def list_changes(locked: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """Return a line for each package that is there in another version, is new, or is gone."""
    return [
        f"{name} {locked.get(name, 'new')} -> {installed.get(name, 'gone')}"
        for name in sorted(locked.keys() | installed.keys())
        if locked.get(name) != installed.get(name)
    ]


def _plain(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(command: str) -> None:
    """Print what `command` is for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if command == "loosen":
        lines = loosen([*project["dependencies"], *project["optional-dependencies"]["dev"]])
    else:
        installed = {_plain(each.name): each.version for each in distributions()}
        ours = {"pip", "setuptools", project["name"]}
        locked = read_lock((ROOT / "deploy/locks/requirements-dev.lock").read_text())
        lines = list_changes(locked, {name: of for name, of in installed.items() if name not in ours})
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1])

"""A Dockerfile as data, and its first stage run without Docker: in a folder instead of an image."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

FROM = re.compile(r"(?P<image>\S+)(?: AS (?P<name>\S+))?")


@dataclass(frozen=True)
class Stage:
    """A stage: its image, its name, and its instructions in order."""

    image: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all_of(self, instruction: str) -> list[str]:
        """The arguments of each instruction of one sort."""
        return [words for name, words in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        """The argument that holds."""
        return self.all_of(instruction)[-1]


def read_stages(path: Path) -> list[Stage]:
    """Read a Dockerfile: comments are left out and continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        instruction, _, words = line.partition(" ")
        if instruction == "FROM":
            found = FROM.fullmatch(words)
            assert found, line
            stages.append(Stage(image=found["image"], name=found["name"]))
        elif instruction:
            stages[-1].steps.append((instruction, words.strip()))
    return stages


def run_stage(stage: Stage, *, context: Path, work: Path, opt: Path) -> None:
    """Do what a stage says: `work` stands for its working directory, `opt` for its /opt."""
    for instruction, words in stage.steps:
        match instruction:
            case "COPY":
                *sources, target = words.split()
                for source in sources:
                    _copy(context / source, work / target)
            case "RUN":
                command = words.replace("/opt/", f"{shlex.quote(str(opt))}/")
                command = _install_by_uv(command)
                command = re.sub(r"(?<!/)\bpython -m", f"{shlex.quote(sys.executable)} -m", command)
                done = subprocess.run(
                    ["/bin/sh", "-euc", command],
                    cwd=work,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=200,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            case "WORKDIR":
                work.mkdir(parents=True, exist_ok=True)
            case "ENV":
                """Settings of pip alone, which would keep it from the caches of this machine."""
            case _:
                raise AssertionError(f"{instruction} is not known here")


def _install_by_uv(command: str) -> str:
    """The same words for uv where it is installed: it takes them as pip does, and a tenth of the time."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        return command
    return re.sub(
        r"(?<!/)\bpython -m pip --python (\S+) (install|check)",
        rf"{shlex.quote(str(uv))} pip \2 --python \1",
        command,
    )


def read_command(words: str) -> list[str]:
    """Read the JSON form of a command."""
    return [str(each) for each in json.loads(words)]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)

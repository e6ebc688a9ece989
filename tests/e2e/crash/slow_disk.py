"""A disk that can be made slow for the store alone, by a library that is loaded before its own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FSYNC_MS = 1500
SOURCE = Path(__file__).with_name("slow_disk.c")


@dataclass(frozen=True)
class Disk:
    """The store's disk: how long it takes to confirm a write."""

    library: Path
    knob: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process that is started with it use this disk."""
        return {"LD_PRELOAD": str(self.library), "SLOW_DISK_KNOB": str(self.knob)}

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Be slow for a while."""
        self.knob.write_text(str(FSYNC_MS))
        try:
            yield
        finally:
            self.knob.write_text("0")


def build_disk(folder: Path) -> Disk | None:
    """Compile the library; None without a C compiler, which only a developer's machine may lack."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        assert "CI" not in os.environ, "a C compiler is needed to make the disk slow"
        return None
    disk = Disk(library=folder / "slow_disk.so", knob=folder / "knob")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", disk.library, SOURCE, "-ldl"], check=True)
    disk.knob.write_text("0")
    return disk

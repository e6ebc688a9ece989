"""The limit of open files and connections."""

import subprocess
import sys

SCRIPT = """
import resource
from bridge.config.descriptors import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def run(soft: int, hard: int) -> list[int]:
    """Return what a process with these limits gets, and has afterwards."""
    script = SCRIPT.format(soft=soft, hard=hard)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return [int(word) for word in done.stdout.split()]


def test_a_low_limit_is_raised_as_far_as_it_may_be() -> None:
    """To what is wanted, or to the hard limit; what is higher already stays."""
    assert run(256, 1024) == [1024, 1024, 1024]
    assert run(1024, 20_000) == [8192, 8192, 20_000]
    assert run(10_000, 20_000) == [10_000, 10_000, 20_000]

"""The simulator as a process."""

import signal
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from bridge.simulator.serve import SimulatorConfig, build_app

PROGRAM = "from bridge.simulator.serve import SimulatorConfig, main; main(SimulatorConfig())"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_when_it_is_ready_and_stops_on_signals(sign: signal.Signals) -> None:
    """One line on stdout with the real port; both signals end it cleanly."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:2] == ["simulator", "ready"]
        with urllib.request.urlopen(f"{words[2]}/_sim/state", timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(sign)
        assert process.wait(timeout=10) == 0
        assert process.stdout.read() == ""


@pytest.mark.parametrize(
    "config",
    [
        {"speed": 0.0},
        {"speed": -1.0},
        {"switches": {"no_such_switch": True}},
    ],
)
def test_bad_configuration_is_refused_at_the_start(config: dict[str, Any]) -> None:
    """A wrong speed or switch ends the start."""
    with pytest.raises(ValueError, match=r"speed|no_such_switch"):
        build_app(SimulatorConfig(**config))

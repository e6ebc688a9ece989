"""The benchmarks still run; their figures are judged by whoever runs them on a quiet machine, never here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURE = re.compile(r"-?[\d,]+(?:\.\d+)?")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(module: str, *arguments: str) -> str:
    """Run a program of the bench, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("REEL")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_benchmark_measures_everything_at_tiny_sizes() -> None:
    """Every row has a figure (only a lag or a ratio may round to zero); of the other job queues, the installed one is there."""
    table, queues, hardware = run("throughput", "--smoke", "--queues", "arq").split("\n\n")
    _, _, *rows = table.splitlines()
    figures = {name: float(value.replace(",", "")) for name, value in map(_read_row, rows)}
    for word in ("polls", "endings", "deliveries", "registrations", "lag p", "bytes", "together"):
        assert any(word in name for name in figures), f"nothing is said of {word}"
    zeros = [name for name, figure in figures.items() if figure <= 0]
    assert [name for name in zeros if "lag" not in name and "ratio" not in name] == []
    lines = [line.strip("| ").split(" | ") for line in queues.splitlines()]
    assert [line[0].split()[0] for line in lines[2:]] == ["**reelbridge**", "arq"]
    assert [cell for _, *cells in lines[2:] for cell in cells if FIGURE.match(cell) is None] == []
    assert "cores of" in hardware


def test_the_measure_of_scale_runs() -> None:
    """Every row has a figure above zero."""
    _, _, *rows = run("scale", "--smoke").splitlines()
    assert len(rows) == 8
    assert all(float(FIGURE.findall(row.split("|")[2])[0].replace(",", "")) > 0 for row in rows)


def test_the_reckoning_of_capacity_runs() -> None:
    """Ten workers do more than one, and are stopped by the store; two were measured beside what was reckoned of one."""
    measured, reckoned = run("capacity", "--smoke").split("\n\n")
    assert len(measured.splitlines()) == 4
    rates = [int(row.split("|")[2].split()[0].replace(",", "")) for row in reckoned.splitlines()[2:]]
    assert rates == sorted(rates)
    assert rates[-1] > rates[0]


def test_two_checkouts_are_measured_in_turns() -> None:
    """A checkout beside itself: each measure has a line with both medians and their ratio."""
    chosen = ("--size", "smoke", "--rounds", "2", "--what", "registrations")
    _, _, *lines = run("pair", str(ROOT), str(ROOT), *chosen).splitlines()
    assert [line.split(",")[0].strip("| ") for line in lines] == ["registrations"] * 3
    assert [line for line in lines if len(FIGURE.findall(line)) < 3] == []


def test_the_benchmark_of_the_http_client_runs() -> None:
    """Every row of its table has a figure."""
    _, _, *rows = run("http_client", "--smoke").partition("\n\n")[0].splitlines()
    figures = dict(map(_read_row, rows))
    assert len(figures) == 6
    assert all(float(value) > 0 for value in figures.values())


def test_the_benchmark_of_the_proxy_runs() -> None:
    """Every row of its table has a figure; what one takes over another may be nothing in so few requests."""
    _, _, *rows = run("proxy", "--smoke").partition("\n\n")[0].splitlines()
    figures = dict(map(_read_row, rows))
    assert len(figures) == 8
    assert all(float(value.replace(",", "")) > 0 for name, value in figures.items() if "over" not in name)


def test_what_an_endpoint_costs_is_measured() -> None:
    """Both figures are there."""
    shown = run("fan_out")
    assert re.match(r"an endpoint adds [\d.]+ us of the worker and [\d.]+ us of the store", shown)


def _read_row(row: str) -> tuple[str, str]:
    _, name, shown, _, _ = row.split("|")
    figure = FIGURE.match(shown.strip())
    assert figure is not None, row
    return name.strip(), figure[0]

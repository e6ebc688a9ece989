"""Measure the table of docs/moving.md: `python -m tests.e2e.proxy.moving_figures` takes some minutes and little else.

The simulator runs ten times as fast as the documents say, anew for each program and with the same durations for both.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.e2e.processes import Bridge, Simulator, running_bridge, running_receiver, running_simulator
from tests.e2e.proxy.moved_jobs import (
    AUTOMATION,
    JOBS,
    SCRIPTS,
    Moved,
    Run,
    count_lines,
    prepare,
    review,
    run,
)

SPEED = 10
REVIEW = Moved("review.py", "review.py")


async def measure(bridge: Bridge, simulator: Simulator, job: Moved, kind: str) -> Run:
    """Run one program."""
    if job == REVIEW:
        return await review(bridge, simulator, kind, pace=1 / SPEED)
    env = await prepare(bridge, simulator, job, pace=1 / SPEED)
    if kind == "loops" or job == AUTOMATION:
        return await run(bridge, SCRIPTS / kind / (job.loop if kind == "loops" else job.callback), env)
    async with running_receiver() as receiver:
        env["HOOK"] = f"{receiver.url}/hook"
        return await run(
            bridge, SCRIPTS / kind / job.callback, env, lambda: receiver.wait("/hook", within_s=120)
        )


def measure_apart(job: Moved, kind: str) -> Run:
    """Run one program on a simulator and a bridge of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_simulator(speed=SPEED) as simulator,
        running_bridge(simulator, Path(folder), REELBRIDGE_POLL_SCALE=str(1 / SPEED)) as bridge,
    ):
        return asyncio.run(measure(bridge, simulator, job, kind))


def main(names: list[str]) -> None:
    """Print a row for each program, or for those named."""
    for job in (*JOBS, AUTOMATION, REVIEW):
        if names and job.loop not in names:
            continue
        runs = [measure_apart(job, kind) for kind in ("loops", "callbacks")]
        lines = [count_lines(SCRIPTS / "loops" / job.loop), count_lines(SCRIPTS / "callbacks" / job.callback)]
        cells = [
            lines,
            [each.requests for each in runs],
            [round(each.seconds * SPEED) for each in runs],
        ]
        shown = " | ".join(f"{before} → {after}" for before, after in cells)
        sys.stdout.write(f"| `{job.loop}` | {shown} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

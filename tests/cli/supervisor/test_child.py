"""Supervision of one process, with real processes as small as can be."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bridge.cli.supervisor.child import LINE_BYTES, Child

Lines = list[tuple[str, str]]


def make_child(program: str, heard: Lines, **options: object) -> Child:
    return Child(
        "worker",
        [sys.executable, "-u", "-c", program],
        dict(os.environ),
        say=lambda name, line: heard.append((name, line)),
        **options,  # type: ignore[arg-type]  # passed through
    )


async def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what other processes do sets no event here
            await asyncio.sleep(0.01)


async def test_a_dead_child_is_started_again_and_its_death_is_told() -> None:
    """kill -9 leads to a new process within the first pause, and a line that says so."""
    heard: Lines = []
    child = make_child("import time; print('here'); time.sleep(60)", heard)
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "here") in heard)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: heard.count(("worker", "here")) == 2)
    assert child.pid not in {None, first}
    assert ("up", "worker was killed by signal 9; starting it again in 0.25 s") in heard
    await child.stop()
    await running


async def test_a_crash_loop_is_told_with_the_last_lines_and_slows_down() -> None:
    """Three deaths in a row: the last output is repeated where people look, pauses double."""
    heard: Lines = []
    child = make_child("import sys; print('no such table'); sys.exit(3)", heard)
    running = asyncio.create_task(child.run())
    await until(lambda: ("up", "    no such table") in heard)
    await child.stop()
    await running
    told = [line for name, line in heard if name == "up"]
    assert told[:4] == [
        "worker ended with status 3; starting it again in 0.25 s",
        "worker ended with status 3, 2 times in a row; starting it again in 0.5 s",
        "worker ended with status 3, 3 times in a row; starting it again in 1 s",
        "worker does not stay alive; its last lines:",
    ]


async def test_a_child_that_lived_long_starts_from_the_shortest_pause() -> None:
    """Deaths far apart are no loop."""
    heard: Lines = []
    ticks = iter(range(0, 100_000, 1000))  # every look at the clock is 1000 s later
    child = make_child("raise SystemExit(1)", heard, clock=lambda: next(ticks))
    running = asyncio.create_task(child.run())
    await until(lambda: len(heard) >= 3)
    await child.stop()
    await running
    assert {line for _, line in heard} == {"worker ended with status 1; starting it again in 0.25 s"}


async def test_stopping_lets_the_child_finish_its_work() -> None:
    """SIGTERM first; what the child says while it drains is still shown, and it is not started again."""
    heard: Lines = []
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.3); print('drained'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready'); time.sleep(60)\n"
    )
    child = make_child(program, heard)
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "ready") in heard)
    await child.stop()
    await running
    assert heard == [("worker", "ready"), ("worker", "drained")]


async def test_a_second_wish_to_stop_does_not_wait_for_a_deaf_child() -> None:
    """A child that ignores SIGTERM is killed at once when the operator is in a hurry."""
    heard: Lines = []
    child = make_child(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)",
        heard,
    )
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "deaf") in heard)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(child.stop(hurry=hurry))
    _, waiting = await asyncio.wait({stopping}, timeout=0.2)
    assert stopping in waiting
    hurry.set()
    await asyncio.wait_for(stopping, 30)
    await running
    assert ("worker", "does not end by itself: killed") in heard


async def test_endless_lines_are_cut_and_bad_bytes_shown() -> None:
    """Output without line breaks takes bounded memory; what is no UTF-8 does not stop the reader."""
    heard: Lines = []
    program = (
        "import sys, time\n"
        f"sys.stdout.buffer.write(b'x' * {LINE_BYTES * 3 + 5} + b'\\n\\xff\\n'); sys.stdout.flush(); time.sleep(60)\n"
    )
    child = make_child(program, heard)
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "\ufffd") in heard)
    await child.stop()
    await running
    assert max(len(line) for _, line in heard) == LINE_BYTES
    assert sum(line.count("x") for _, line in heard) == LINE_BYTES * 3 + 5


async def test_children_do_not_outlive_a_supervisor_killed_with_minus_9(tmp_path: Path) -> None:
    """A tied child ends by itself when its supervisor is shot."""
    tied = "from bridge.cli.supervisor.parent_death import tie_to_supervisor; tie_to_supervisor(); import time; print('tied'); time.sleep(60)"
    supervisor_program = (
        "import asyncio, os, sys\n"
        "from bridge.cli.supervisor.child import Child\n"
        f"child = Child('c', [sys.executable, '-u', '-c', {tied!r}], dict(os.environ),\n"
        "    say=lambda _, line: print(line, child.pid, flush=True))\n"
        "asyncio.run(child.run())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", supervisor_program, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    said, pid = (await asyncio.wait_for(supervisor.stdout.readline(), 60)).split()
    assert said == b"tied"
    supervisor.kill()
    await supervisor.wait()
    await until(lambda: has_ended(int(pid)))


def has_ended(pid: int) -> bool:
    """Gone, or dead and only not yet reaped by whoever inherited it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in {"Z", "X"}


async def test_an_orphan_that_asks_too_late_ends_at_once() -> None:
    """The supervisor died before the child tied itself to it: SIGTERM comes all the same."""
    program = "from bridge.cli.supervisor.parent_death import tie_to_supervisor; tie_to_supervisor(); import time; time.sleep(60)"
    began = time.monotonic()
    orphan = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**os.environ, "REELBRIDGE_SUPERVISOR_PID": "1"}
    )
    assert await asyncio.wait_for(orphan.wait(), 50) == -signal.SIGTERM
    assert time.monotonic() - began < 50

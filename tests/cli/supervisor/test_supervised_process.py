"""Supervision of one process, with small real processes."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bridge.cli.supervisor.supervised_process import LINE_BYTES, SupervisedProcess

Lines = list[tuple[str, str]]


def make_process(program: str, output: Lines, **options: object) -> SupervisedProcess:
    return SupervisedProcess(
        "worker",
        [sys.executable, "-u", "-c", program],
        dict(os.environ),
        write_line=lambda name, line: output.append((name, line)),
        **options,  # type: ignore[arg-type]  # passed through
    )


async def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what other processes do sets no event here
            await asyncio.sleep(0.01)


async def test_a_dead_child_is_restarted_and_its_death_reported() -> None:
    """kill -9 leads to a new process after the first delay, and a line that says so."""
    output: Lines = []
    child = make_process("import time; print('here'); time.sleep(60)", output)
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "here") in output)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: output.count(("worker", "here")) == 2)
    assert child.pid not in {None, first}
    assert ("up", "worker was killed by signal 9; starting it again in 0.25 s") in output
    await child.stop()
    await running


async def test_a_crash_loop_is_reported_with_the_last_lines_and_slows_down() -> None:
    """After three deaths in a row the last output is repeated, and the delays double."""
    output: Lines = []
    child = make_process("import sys; print('no such table'); sys.exit(3)", output)
    running = asyncio.create_task(child.run())
    await until(lambda: ("up", "    no such table") in output)
    await child.stop()
    await running
    reported = [line for name, line in output if name == "up"]
    assert reported[:4] == [
        "worker ended with status 3; starting it again in 0.25 s",
        "worker ended with status 3, 2 times in a row; starting it again in 0.5 s",
        "worker ended with status 3, 3 times in a row; starting it again in 1 s",
        "worker does not stay alive; its last lines:",
    ]


async def test_a_child_that_ran_long_is_restarted_after_the_shortest_delay() -> None:
    """Deaths far apart do not count as a crash loop."""
    output: Lines = []
    ticks = iter(range(0, 100_000, 1000))  # every call of the clock is 1000 s later
    child = make_process("raise SystemExit(1)", output, clock=lambda: next(ticks))
    running = asyncio.create_task(child.run())
    await until(lambda: len(output) >= 3)
    await child.stop()
    await running
    assert {line for _, line in output} == {"worker ended with status 1; starting it again in 0.25 s"}


async def test_stopping_lets_the_child_finish_its_work() -> None:
    """SIGTERM comes first; output while the child drains is still printed, and it is not restarted."""
    output: Lines = []
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.3); print('drained'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready'); time.sleep(60)\n"
    )
    child = make_process(program, output)
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "ready") in output)
    await child.stop()
    await running
    assert output == [("worker", "ready"), ("worker", "drained")]


async def test_a_forced_stop_does_not_wait_for_a_child_that_ignores_sigterm() -> None:
    """A child that ignores SIGTERM is killed once `force` is set."""
    output: Lines = []
    child = make_process(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)",
        output,
    )
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "deaf") in output)
    force = asyncio.Event()
    stopping = asyncio.create_task(child.stop(force=force))
    _, waiting = await asyncio.wait({stopping}, timeout=0.2)
    assert stopping in waiting
    force.set()
    await asyncio.wait_for(stopping, 30)
    await running
    assert output[-1] == ("worker", "killed")


async def test_endless_lines_are_cut_and_bad_bytes_shown() -> None:
    """Output without line breaks takes bounded memory, and invalid UTF-8 does not stop the reader."""
    output: Lines = []
    program = (
        "import sys, time\n"
        f"sys.stdout.buffer.write(b'x' * {LINE_BYTES * 3 + 5} + b'\\n\\xff\\n'); sys.stdout.flush(); time.sleep(60)\n"
    )
    child = make_process(program, output)
    running = asyncio.create_task(child.run())
    await until(lambda: ("worker", "\ufffd") in output)
    await child.stop()
    await running
    assert max(len(line) for _, line in output) == LINE_BYTES
    assert sum(line.count("x") for _, line in output) == LINE_BYTES * 3 + 5


async def test_children_do_not_outlive_a_supervisor_killed_with_minus_9(tmp_path: Path) -> None:
    """A child that is tied to its supervisor ends by itself when that one is killed."""
    tied = "from bridge.cli.local.parent_death import tie_to_supervisor; tie_to_supervisor(); import time; print('tied'); time.sleep(60)"
    supervisor_program = (
        "import asyncio, os, sys\n"
        "from bridge.cli.supervisor.supervised_process import SupervisedProcess\n"
        f"child = SupervisedProcess('c', [sys.executable, '-u', '-c', {tied!r}], dict(os.environ),\n"
        "    write_line=lambda _, line: print(line, child.pid, flush=True))\n"
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
    """Return whether a process has gone, or is a zombie that nobody has reaped yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in {"Z", "X"}


async def test_a_child_whose_supervisor_died_first_ends_at_once() -> None:
    """When the supervisor died before the child tied itself to it, the child gets SIGTERM all the same."""
    program = "from bridge.cli.local.parent_death import tie_to_supervisor; tie_to_supervisor(); import time; time.sleep(60)"
    began = time.monotonic()
    orphan = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**os.environ, "REELBRIDGE_SUPERVISOR_PID": "1"}
    )
    assert await asyncio.wait_for(orphan.wait(), 50) == -signal.SIGTERM
    assert time.monotonic() - began < 50

"""Supervise one process: restart it with a growing delay when it dies, and print its output line by line."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from bridge.cli.local.parent_death import SUPERVISOR_VARIABLE

MIN_RESTART_DELAY_S = 0.25
MAX_RESTART_DELAY_S = 30.0
STABLE_AFTER_S = 20.0
CRASH_LOOP_DEATHS = 3
STOP_TIMEOUT_S = 40.0  # longer than the 35 s that attempts in flight get
LINE_BYTES = 8192
TAIL_LINES = 12

WriteLine = Callable[[str, str], None]


class SupervisedProcess:
    """A command that is kept running until `stop` is called."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        write_line: WriteLine,
        on_line: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the command and its environment.

        `name` is the prefix of the output, which goes to `write_line`; `on_line` is called with every line as well.
        """
        self.name = name
        self.deaths_in_a_row = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._command = list(command)
        self._environment = dict(environment) | {SUPERVISOR_VARIABLE: str(os.getpid())}
        self._write_line = write_line
        self._on_line = on_line
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Return the id of the running process, or None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self) -> None:
        """Keep the command running; return only after `stop`."""
        while not self._stopping.is_set():
            began = self._clock()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            lived_s = self._clock() - began
            self.deaths_in_a_row = 1 if lived_s >= STABLE_AFTER_S else self.deaths_in_a_row + 1
            pause_s = min(MAX_RESTART_DELAY_S, MIN_RESTART_DELAY_S * 2 ** (self.deaths_in_a_row - 1))
            self._report_death(code, pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def stop(self, *, force: asyncio.Event | None = None) -> None:
        """Send SIGTERM and wait for the end; kill the process after STOP_TIMEOUT_S, or at once when `force` is set."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        _send(process, signal.SIGTERM)
        ending = asyncio.ensure_future(process.wait())
        forced = asyncio.ensure_future(force.wait() if force else asyncio.Event().wait())
        done, _ = await asyncio.wait(
            {ending, forced}, timeout=STOP_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        forced.cancel()
        if not ending.done():
            self._write_line(self.name, "killed" if forced in done else "does not end by itself: killed")
            _send(process, signal.SIGKILL)
        await ending

    async def _run_once(self) -> int:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C on the terminal reaches only `up`, which stops its children in order
        )
        if self._stopping.is_set():  # stop() was called while the process was being created
            _send(process, signal.SIGTERM)
        assert process.stdout is not None
        reading = asyncio.ensure_future(self._read(process.stdout))
        try:
            code = await process.wait()
            # A grandchild may keep the pipe open: print what has come, and do not wait for its end.
            await asyncio.wait({reading}, timeout=1)
        finally:
            reading.cancel()
            if process.returncode is None:  # cancelled
                _send(process, signal.SIGKILL)
                await process.wait()
        return code

    async def _read(self, output: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await output.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take_output(line)
            if len(rest) > LINE_BYTES:
                self._take_output(rest)
                rest = b""
        if rest:
            self._take_output(rest)

    def _take_output(self, raw: bytes) -> None:
        for start in range(0, max(1, len(raw)), LINE_BYTES):
            self._take_line(raw[start : start + LINE_BYTES].decode("utf-8", "replace").rstrip())

    def _take_line(self, line: str) -> None:
        self.tail.append(line)
        self._write_line(self.name, line)
        if self._on_line is not None:
            self._on_line(line)

    def _report_death(self, code: int, pause_s: float) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        row = f", {self.deaths_in_a_row} times in a row" if self.deaths_in_a_row > 1 else ""
        self._write_line("up", f"{self.name} {how}{row}; starting it again in {pause_s:g} s")
        if self.deaths_in_a_row == CRASH_LOOP_DEATHS:
            self._write_line("up", f"{self.name} does not stay alive; its last lines:")
            for line in self.tail:
                self._write_line("up", f"    {line}")


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)

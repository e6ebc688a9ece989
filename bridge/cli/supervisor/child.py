"""One supervised process: started again with back-off when it dies, its output shown line by line."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from bridge.cli.supervisor.parent_death import SUPERVISOR_VARIABLE

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 20.0
LOOP_AFTER_DEATHS = 3
STOP_TIMEOUT_S = 40.0  # attempts in flight get 35 s to end
LINE_BYTES = 8192
TAIL_LINES = 12

Say = Callable[[str, str], None]


class Child:
    """Runs one command until told to stop."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        say: Say,
        on_line: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a name for the output's prefix; `on_line` hears every line as well."""
        self.name = name
        self.deaths_in_a_row = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._command = list(command)
        self._environment = dict(environment) | {SUPERVISOR_VARIABLE: str(os.getpid())}
        self._say = say
        self._on_line = on_line
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The running process's id."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self) -> None:
        """Keep the command running; return only after `stop`."""
        while not self._stopping.is_set():
            began = self._clock()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            lived_s = self._clock() - began
            self.deaths_in_a_row = 1 if lived_s >= HEALTHY_AFTER_S else self.deaths_in_a_row + 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (self.deaths_in_a_row - 1))
            self._tell_death(code, pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def stop(self, *, hurry: asyncio.Event | None = None) -> None:
        """Ask the process to end, wait while it drains, and kill it when it takes too long or `hurry` is set."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        _send(process, signal.SIGTERM)
        ending = asyncio.ensure_future(process.wait())
        hurried = asyncio.ensure_future(hurry.wait() if hurry else asyncio.Event().wait())
        await asyncio.wait({ending, hurried}, timeout=STOP_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not ending.done():
            self._say(self.name, "does not end by itself: killed")
            _send(process, signal.SIGKILL)
        await ending

    async def _run_once(self) -> int:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C on the terminal reaches `up` alone, which stops things in order
        )
        if self._stopping.is_set():  # stop() came while the process was being made
            _send(process, signal.SIGTERM)
        assert process.stdout is not None
        reading = asyncio.ensure_future(self._read(process.stdout))
        try:
            code = await process.wait()
            # A grandchild may hold the pipe open: what is there already is shown, more is not waited for.
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
                self._hear(line)
            if len(rest) > LINE_BYTES:
                self._hear(rest)
                rest = b""
        if rest:
            self._hear(rest)

    def _hear(self, raw: bytes) -> None:
        for start in range(0, max(1, len(raw)), LINE_BYTES):
            self._hear_line(raw[start : start + LINE_BYTES].decode("utf-8", "replace").rstrip())

    def _hear_line(self, line: str) -> None:
        self.tail.append(line)
        self._say(self.name, line)
        if self._on_line is not None:
            self._on_line(line)

    def _tell_death(self, code: int, pause_s: float) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        row = f", {self.deaths_in_a_row} times in a row" if self.deaths_in_a_row > 1 else ""
        self._say("up", f"{self.name} {how}{row}; starting it again in {pause_s:g} s")
        if self.deaths_in_a_row == LOOP_AFTER_DEATHS:
            self._say("up", f"{self.name} does not stay alive; its last lines:")
            for line in self.tail:
                self._say("up", f"    {line}")


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)

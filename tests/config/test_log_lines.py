"""Lines about ordinary work are written together, and none is lost, out of order or late."""

import asyncio
import fcntl
import io
import json
import logging
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any

import pytest
import structlog

from bridge.config import log_lines
from bridge.config.log import configure_logging, get_logger
from bridge.config.log_lines import KEPT_S, MOST_KEPT, PIPE_BYTES
from bridge.config.settings import Settings

PIPE_FULL_BYTES = 64 * 1024  # pipe(7)


class Stream(io.StringIO):
    """A text in memory that counts how often it was written to."""

    writes = 0
    on_write: asyncio.Event | None = None

    def write(self, text: str) -> int:
        self.writes += 1
        if self.on_write is not None:
            self.on_write.set()
        return super().write(text)

    async def until_written(self) -> None:
        """Wait until more is written."""
        self.on_write = asyncio.Event()
        async with asyncio.timeout(5):
            await self.on_write.wait()

    def events(self) -> list[str]:
        """Give the names of the events so far."""
        return [json.loads(line)["event"] for line in self.getvalue().splitlines()]


@pytest.fixture
def longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are kept so long that a busy machine writes none too soon."""
    monkeypatch.setattr(log_lines, "KEPT_S", 0.5)


@pytest.fixture
def stream() -> Iterator[Stream]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = Stream()
    configure_logging(Settings(log_format="json", _env_file=None), stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("longer")
async def test_lines_of_a_moment_are_written_together(stream: Stream) -> None:
    """Each has the time at which it was logged, and a secret is masked as ever."""
    log = get_logger("t")
    log.info("first", job="j1")
    await asyncio.sleep(KEPT_S / 4)
    log.info("second", key="brk_0123456789abcdef")
    assert stream.writes == 0
    await stream.until_written()
    assert stream.writes == 1
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["job"], first["logger"], first["level"]) == ("first", "j1", "t", "info")
    assert second["key"] == "brk_…"
    times = [datetime.fromisoformat(each["timestamp"]).timestamp() for each in (first, second)]
    assert times[1] - times[0] >= KEPT_S / 8
    log.info("third")
    await stream.until_written()
    assert stream.events() == ["first", "second", "third"]


@pytest.mark.usefixtures("longer")
@pytest.mark.parametrize("other", ["warning", "library", "changing", "exception"])
async def test_what_is_written_at_once_comes_behind_what_was_kept(stream: Stream, other: str) -> None:
    """A warning, a library's record, and a line whose values its caller might change are not kept."""
    log, names = get_logger("t"), {"a": 1}
    log.info("before")
    if other == "warning":
        log.warning("now")
    elif other == "library":
        logging.getLogger("arq").warning("now")
    elif other == "exception":
        log_an_exception(log)
        assert "ZeroDivisionError" in stream.getvalue()
    else:
        log.info("now", names=names)
        names["b"] = 2
    assert stream.events() == ["before", "now"]
    assert '"b"' not in stream.getvalue()


def log_an_exception(log: Any) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.info("now", exc_info=True)


async def test_a_line_that_cannot_be_rendered_costs_no_other(stream: Stream) -> None:
    """Whoever writes next is not to blame, and the log says what happened."""
    log = get_logger("t")
    log.info("good")
    log.info("bad", number=10**5000)
    log.warning("innocent")
    assert stream.events() == ["good", "log.line_failed", "innocent"]
    assert json.loads(stream.getvalue().splitlines()[1])["line"] == "bad"


@pytest.mark.usefixtures("longer")
async def test_a_task_that_logs_without_an_end_fills_no_memory(stream: Stream) -> None:
    """Where the event loop does not come to write them, whoever logs does."""
    for number in range(2 * MOST_KEPT + 1):
        get_logger("t").info("line", number=number)
    lines = [json.loads(line)["number"] for line in stream.getvalue().splitlines()]
    assert lines == list(range(2 * MOST_KEPT))


@pytest.mark.usefixtures("longer")
async def test_a_list_of_texts_is_written_as_it_was(stream: Stream) -> None:
    """Whoever logs it may go on with it."""
    names = ["a", "brk_0123456789abcdef"]
    get_logger("t").info("kept", names=names, count=2)
    names.append("b")
    assert stream.writes == 0
    await stream.until_written()
    assert json.loads(stream.getvalue())["names"] == ["a", "brk_…"]
    assert names == ["a", "brk_0123456789abcdef", "b"]


@pytest.mark.usefixtures("longer")
async def test_another_thread_writes_at_once(stream: Stream) -> None:
    """It has another event loop or none, and what the main thread keeps is its own."""
    get_logger("t").info("kept")
    await asyncio.to_thread(get_logger("t").info, "from a thread")
    assert stream.events()[0] == "from a thread"
    await stream.until_written()
    assert stream.events() == ["from a thread", "kept"]


def test_a_loop_that_ends_takes_no_line_with_it(stream: Stream) -> None:
    """What it kept is written by the next one."""

    async def say(event: str) -> None:
        get_logger("t").info(event)

    asyncio.run(say("first"))
    assert stream.events() == []

    async def say_and_wait() -> None:
        get_logger("t").info("second")
        await stream.until_written()

    asyncio.run(say_and_wait())
    assert stream.events() == ["first", "second"]


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise RuntimeError('boom')"])
def test_a_process_that_ends_has_written_all_of_its_lines(end: str) -> None:
    program = f"""
import asyncio
from bridge.config.log import configure_logging, get_logger
from bridge.config.settings import Settings

async def main():
    configure_logging(Settings(log_format="json", _env_file=None))
    get_logger("t").info("last", number=1)
    {end}

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    assert [json.loads(line)["event"] for line in lines] == ["last"], done.stderr


def count_unread(pipe: IO[bytes]) -> int:
    """Return how many bytes wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.skipif(sys.platform != "linux", reason="pipes of other systems have other sizes")
def test_a_signal_cuts_no_line_off() -> None:
    """A write that waits for the reader of a full pipe ends early where a signal comes."""
    program = """
import asyncio, os, signal
from bridge.config.log import configure_logging, get_logger
from bridge.config.settings import Settings

async def main():
    signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"!"))
    configure_logging(Settings(log_format="json", _env_file=None))
    for number in range(2000):
        get_logger("t").info("line", number=number)
    await asyncio.sleep(0.1)

asyncio.run(main())
"""
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}  # as `up` starts its processes
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=unbuffered
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        until_s = time.monotonic() + 30
        while (waiting := count_unread(process.stderr)) < PIPE_FULL_BYTES - PIPE_BYTES:
            assert time.monotonic() < until_s, f"{waiting} bytes in the pipe"
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read(1) == b"!"
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert [line["number"] for line in lines] == list(range(2000))

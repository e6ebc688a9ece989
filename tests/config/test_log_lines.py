"""Lines about ordinary work are written together, and none is lost, out of order or late."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest
import structlog

from bridge.config.log import configure_logging, get_logger
from bridge.config.log_lines import KEPT_S
from bridge.config.settings import Settings


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


@pytest.mark.parametrize("other", ["warning", "library", "changing"])
async def test_what_is_written_at_once_comes_behind_what_was_kept(stream: Stream, other: str) -> None:
    """A warning, a library's record, and a line whose values its caller might change are not kept."""
    log, names = get_logger("t"), {"a": 1}
    log.info("before")
    if other == "warning":
        log.warning("now")
    elif other == "library":
        logging.getLogger("arq").warning("now")
    else:
        log.info("now", names=names)
        names["b"] = 2
    assert stream.events() == ["before", "now"]
    assert '"b"' not in stream.getvalue()


async def test_a_list_of_texts_is_written_as_it_was(stream: Stream) -> None:
    """Whoever logs it may go on with it."""
    names = ["a", "brk_0123456789abcdef"]
    get_logger("t").info("kept", names=names, count=2)
    names.append("b")
    assert stream.writes == 0
    await stream.until_written()
    assert json.loads(stream.getvalue())["names"] == ["a", "brk_…"]
    assert names == ["a", "brk_0123456789abcdef", "b"]


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

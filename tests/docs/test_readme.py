"""The README is short and begins with what works, and the receivers of the documentation receive."""

import asyncio
import base64
import contextlib
import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import aiohttp
import pytest

from bridge.config.settings import DEFAULT_RETRY_SCHEDULE
from bridge.domain.deliveries.signing import sign
from tests.docs.pages import README, code_blocks, read

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two characters").decode()
SCHEDULE = "2 s, 5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h"
UNITS = {"s": 1, "min": 60, "h": 3600}


def test_it_is_short_and_begins_with_a_command() -> None:
    """Somebody who has two minutes sees a command on the first screen."""
    lines = README.read_text().splitlines()
    assert len(lines) <= 200
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("```"))
    assert first < 15
    assert lines[first].startswith("make ")


def test_the_schedule_in_words_is_the_codes_own() -> None:
    """README and delivery page name every wait between attempts."""
    waits = [float(number) * UNITS[unit] for number, unit in (each.split() for each in SCHEDULE.split(", "))]
    assert tuple(waits) == DEFAULT_RETRY_SCHEDULE
    assert SCHEDULE in read("README.md")
    assert SCHEDULE in read("docs/delivery.md")


def test_the_receiver_takes_the_callback_that_is_shown() -> None:
    """The five lines accept the printed event when it is signed, and print what they say."""
    (receiver,) = code_blocks(read("README.md"), "python")
    (shown,) = (block for block in code_blocks(read("README.md"), "") if "webhook-id" in block)
    event = json.loads(shown[shown.index("{") :])
    body = json.dumps(event).encode()
    now_s = int(time.time())
    headers = {
        "webhook-id": event["id"],
        "webhook-timestamp": str(now_s),
        "webhook-signature": sign([SECRET], event_id=event["id"], timestamp_s=now_s, body=body),
    }
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(receiver.replace("whsec_…", SECRET), {"body": body, "headers": headers})
    assert printed.getvalue().splitlines()[0] == f"{event['type']} {event['job_id']} {event['outcome']}"
    assert re.search(rf"webhook-id: {event['id']}", shown)


@pytest.fixture
def receiver_port() -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """The receiver of docs/delivery.md as a process of its own, on a free port."""
    (code,) = code_blocks(read("docs/delivery.md"), "python")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert code.count("9000") == 1
    code = code.replace("whsec_…", SECRET).replace("9000", str(port))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield port, process
        finally:
            process.kill()


async def test_the_whole_receiver_takes_signed_events_only(
    receiver_port: tuple[int, "subprocess.Popen[str]"],
) -> None:
    """It answers 204 and prints the event, and 401 to a body that was changed on the way."""
    port, process = receiver_port
    event = {"type": "sync_job.completed", "job_id": "j1", "outcome": "succeeded"}
    body = json.dumps(event).encode()
    now_s = int(time.time())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now_s),
        "webhook-signature": sign([SECRET], event_id="evt_1", timestamp_s=now_s, body=body),
    }

    async def post(sent: bytes) -> int:
        async with http.post(f"http://127.0.0.1:{port}/", data=sent, headers=headers) as answer:
            return answer.status

    async with aiohttp.ClientSession() as http:
        while True:
            assert process.poll() is None, "the receiver has ended"
            with contextlib.suppress(aiohttp.ClientConnectorError):
                assert await post(body.replace(b"j1", b"j2")) == 401
                break
            await asyncio.sleep(0.05)  # it is still starting
        assert await post(body) == 204
    assert process.stdout is not None
    assert process.stdout.readline() == "sync_job.completed j1 succeeded\n"

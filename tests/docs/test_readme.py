"""The README is short, begins with what works, and its receiver receives."""

import base64
import contextlib
import io
import json
import re
import time

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

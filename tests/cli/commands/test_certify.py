"""`reelbridge certify`: good receivers pass, and each planted defect is found by the case that is made for it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.cli.commands.certify import run_certify
from bridge.config.settings import Settings
from bridge.domain.events.payloads import PAYLOADS
from tests.cli.commands import certify_receivers as receivers
from tests.cli.commands.test_commands import SECRET, run, serving

NAMES = (
    *("valid", "unicode", "rotated", "forged", "stale", "duplicate", "out_of_order", "late", "run_2"),
    *("partial", "endings", "truncated", "huge"),
)


@asynccontextmanager
async def receiving(kind: type[receivers.GoodReceiver], secret: str = SECRET) -> AsyncIterator[str]:
    """Run a receiver and yield its URL, whose query is secret."""
    app = web.Application(client_max_size=kind.body_limit)
    app.router.add_post("/hook", kind(secret).receive)
    async with serving(app) as port:
        yield f"http://127.0.0.1:{port}/hook?token=hunter2"


async def certify(url: str, *, timeout_s: float = 30.0, payload: str = "full") -> tuple[int, dict[str, Any]]:
    """Certify as the command does; return its status and what it prints as JSON."""
    shown: list[str] = []
    settings = Settings(attempt_timeout=timeout_s)
    status = await asyncio.to_thread(
        run_certify, settings, url=url, secret=SECRET, payload=payload, as_json=True, show=shown.append
    )
    (line,) = shown
    return status, json.loads(line)


def names(told: dict[str, Any], result: str) -> set[str]:
    return {each["name"] for each in told["cases"] if each["result"] == result}


async def test_a_good_receiver_passes_every_case() -> None:
    """Status 0; the URL's query is not shown."""
    async with receiving(receivers.GoodReceiver) as url:
        status, told = await certify(url)
    assert (status, told["passed"]) == (0, True)
    assert tuple(each["name"] for each in told["cases"]) == NAMES
    assert names(told, "passed") == set(NAMES)
    assert "hunter2" not in json.dumps(told)


async def test_a_receiver_that_says_nothing_is_judged_by_statuses() -> None:
    """Whether it left a repeat and an older event aside is unknown, which is no failure."""
    async with receiving(receivers.Silent) as url:
        status, told = await certify(url)
    assert status == 0
    assert names(told, "unknown") == {"duplicate", "out_of_order"}
    assert names(told, "failed") == set()


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_every_form_of_the_body_can_be_sent(payload: str) -> None:
    """A receiver that accepts whatever is signed fails nothing, whichever form it gets."""

    class Signed(receivers.GoodReceiver):
        tells = False

        def is_news(self, event: dict[str, Any]) -> bool:
            return bool(event)

    async with receiving(Signed) as url:
        status, told = await certify(url, payload=payload)
    assert (status, names(told, "failed")) == (0, set())


@pytest.mark.parametrize(
    ("defective", "failed"),
    [
        (receivers.VerifiesNothing, {"forged", "stale"}),
        (receivers.WebPage, {"forged", "stale"}),
        (receivers.IgnoresTime, {"stale"}),
        (receivers.FailsUnsigned, {"forged"}),
        (receivers.FirstSignatureOnly, {"rotated"}),
        (receivers.WritesJsonAgain, {"unicode"}),
        (receivers.ActsTwice, {"duplicate", "out_of_order"}),
        (receivers.ForgetsIds, {"duplicate"}),
        (receivers.RefusesRepeats, {"duplicate", "out_of_order"}),
        (receivers.IgnoresOrder, {"out_of_order"}),
        (receivers.KnowsJobsOnly, {"late", "run_2"}),
        (receivers.KnowsTwoOutcomes, {"partial", "endings"}),
        (receivers.NeedsData, {"endings"}),
        (receivers.FailsTruncated, {"truncated"}),
        (receivers.SmallLimit, {"huge"}),
    ],
)
async def test_a_planted_defect_is_found(defective: type[receivers.GoodReceiver], failed: set[str]) -> None:
    """By the cases made for it and no other; each says what was seen and what to change."""
    logging.getLogger("aiohttp.server").disabled = True  # the defects' tracebacks
    async with receiving(defective) as url:
        status, told = await certify(url)
    assert names(told, "failed") == failed
    assert (status, told["passed"]) == (1, False)
    assert all(each["reason"] and each["fix"] for each in told["cases"] if each["name"] in failed)


@pytest.mark.parametrize(
    ("defective", "secret"),
    [
        (receivers.Redirects, SECRET),
        (receivers.GoodReceiver, "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LTIgYnl0ZXM="),
    ],
)
async def test_where_a_valid_event_is_not_accepted_the_others_are_not_sent(
    defective: type[receivers.GoodReceiver], secret: str
) -> None:
    """Whoever refuses everything refuses the forged ones too, which would be no merit."""
    async with receiving(defective, secret) as url:
        status, told = await certify(url)
    assert status == 1
    assert names(told, "failed") == {"valid"}
    assert names(told, "skipped") == set(NAMES) - {"valid"}


async def test_a_receiver_that_never_answers_takes_one_attempt() -> None:
    """Then the command ends."""
    async with receiving(receivers.Hangs) as url:
        status, told = await certify(url, timeout_s=0.5)
    assert status == 1
    assert told["cases"][0]["statuses"] == [None]


async def test_the_command_prints_each_case_with_its_fix(tmp_path: Path) -> None:
    """The secret may be an option; it is not printed, nor is the URL's query."""
    async with receiving(receivers.SmallLimit) as url:
        done = await asyncio.to_thread(run, "certify", url, "--secret", SECRET, cwd=tmp_path)
    shown = done.stdout.decode()
    assert done.returncode == 1, done
    assert "✔ valid: " in shown
    assert "✘ huge: " in shown
    assert "fix: raise the limit" in shown
    assert "12 passed, 1 failed" in shown
    assert SECRET not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("url", "secret", "reason"),
    [
        ("https://169.254.169.254/", SECRET, b"URL: "),
        ("inbox:", SECRET, b"URL: `inbox:`"),
        ("https://example.test/", "whsec_short", b"the signing secret cannot be used"),
    ],
)
def test_what_cannot_be_certified_is_refused_before_anything_is_sent(
    tmp_path: Path, url: str, secret: str, reason: bytes
) -> None:
    """The rules are those for callback URLs and secrets; there is no traceback."""
    done = run("certify", url, "--secret", secret, cwd=tmp_path)
    assert done.returncode == 1
    assert reason in done.stderr
    assert b"Traceback" not in done.stderr

"""The single commands, run as processes of their own."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from bridge.domain.deliveries.signing import sign
from bridge.simulator.demo import demo_environment

SECRET = "whsec_" + "dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEhISE="
BODY = b'{"id":"evt_1"}'


def run(
    *words: str, cwd: Path, stdin: bytes = b"", **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", *words],
        cwd=cwd,
        input=stdin,
        env=clean_environment() | environment,
        capture_output=True,
        timeout=100,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("REELBRIDGE_", "REELMIRROR_", "REELBOT_"))}  # fmt: skip


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    """Serve an application on loopback, and yield its port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def signed_headers(timestamp_s: int, body: bytes = BODY) -> list[str]:
    signature = sign([SECRET], event_id="evt_1", timestamp_s=timestamp_s, body=body)
    fields = {"webhook-id": "evt_1", "webhook-timestamp": str(timestamp_s), "webhook-signature": signature}
    return [word for name, value in fields.items() for word in ("-H", f"{name}: {value}")]


@pytest.mark.parametrize("command", ["api", "worker"])
def test_api_and_worker_name_the_settings_that_they_share(tmp_path: Path, command: str) -> None:
    """Without store and master keys the process exits with status 2 and names both."""
    done = run(command, cwd=tmp_path)
    assert done.returncode == 2
    assert b"REELBRIDGE_REDIS_URL: needed" in done.stderr
    assert b"REELBRIDGE_MASTER_KEYS: needed" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["up", "api", "worker", "doctor"])
def test_bad_settings_end_every_command_with_their_fix(tmp_path: Path, command: str) -> None:
    """All problems are reported at once, without secrets, and nothing is started."""
    done = run(command, cwd=tmp_path, REELBRIDGE_PORT="many", REELBRIDGE_API_KEY="sesame-open")
    assert done.returncode == 2
    assert b"REELBRIDGE_PORT: " in done.stderr
    assert b"REELBRIDGE_API_KEY: " in done.stderr
    assert b"sesame-open" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_verify_accepts_a_good_signature(tmp_path: Path) -> None:
    """A delivery as the bridge signs it: status 0 and no line says `wrong`."""
    done = run("verify", "--tolerance", "9999999999", *signed_headers(1_700_000_000), cwd=tmp_path, stdin=BODY, REELBRIDGE_SIGNING_SECRET=SECRET)  # fmt: skip
    assert done.returncode == 0, done
    assert b"wrong:" not in done.stdout


def test_verify_explains_a_changed_body(tmp_path: Path) -> None:
    """A body that was changed: status 1 and a reason, without the secret."""
    (tmp_path / "body").write_bytes(BODY + b" ")
    done = run("verify", "--tolerance", "9999999999", "--body", "body", *signed_headers(1_700_000_000), cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)  # fmt: skip
    assert done.returncode == 1, done
    assert b"wrong:" in done.stdout
    assert SECRET.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-H", "no colon"], b"-H: write it as"),
        (["--body", "missing"], b"--body: missing cannot be read"),
    ],
)
def test_verify_refuses_what_it_cannot_read(tmp_path: Path, words: list[str], reason: bytes) -> None:
    """The message names the option and the fix; there is no traceback."""
    done = run("verify", *words, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)
    assert done.returncode == 1
    assert reason in done.stderr
    assert b"Traceback" not in done.stderr


def test_commands_to_a_bridge_that_is_not_there_say_so(tmp_path: Path) -> None:
    """`keys` without a running bridge says what to start."""
    done = run("keys", "list", cwd=tmp_path, REELBRIDGE_API_KEY="brk_0123", REELBRIDGE_PORT="1")
    assert done.returncode == 1
    assert b"is `reelbridge up` (or `api`) running there?" in done.stderr
    assert b"REELBRIDGE_HOST and REELBRIDGE_PORT" in done.stderr


async def test_to_revoke_an_unknown_key_fails(tmp_path: Path) -> None:
    """A slip in the id must not pass for a revoked key, whatever page the keys are on; a known key is revoked."""
    revoked: list[str] = []

    async def list_keys(request: web.Request) -> web.Response:
        page = [{"id": "key_2"}] if "cursor" in request.query else [{"id": "key_1"}]
        return web.json_response({"data": page, "next_cursor": None if "cursor" in request.query else "c"})

    async def revoke(request: web.Request) -> web.Response:
        revoked.append(request.match_info["id"])
        return web.json_response({"id": revoked[-1], "deleted": True})

    app = web.Application()
    app.add_routes([web.get("/v1/keys", list_keys), web.delete("/v1/keys/{id}", revoke)])
    async with serving(app) as port:
        slip, done = [
            await asyncio.to_thread(
                run,
                *("keys", "revoke", each),
                cwd=tmp_path,
                REELBRIDGE_API_KEY="brk_0123",
                REELBRIDGE_PORT=str(port),
            )
            for each in ("nope", "key_2")
        ]
    assert (slip.returncode, b"there is no key nope" in slip.stderr) == (1, True)
    assert (done.returncode, revoked) == (0, ["key_2"])


def test_doctor_finds_nothing_wrong_without_any_setting(tmp_path: Path) -> None:
    """With nothing set no finding is wrong; the missing upstream key is a warning, and no bridge a fact like others."""
    done = run("doctor", cwd=tmp_path, REELBRIDGE_PORT="1", REELBRIDGE_API_KEY="brk_" + "a" * 40)
    shown = done.stdout.decode()
    assert done.returncode == 0, done
    assert "embedded store: valkey" in shown
    assert "! no upstream key is set" in shown
    assert "· no bridge is running at http://127.0.0.1:1" in shown


@pytest.mark.parametrize(
    ("chosen", "warning"),
    [
        ({}, "if a reverse proxy makes it reachable, set REELBRIDGE_PUBLIC_URL"),
        ({"REELBRIDGE_ALLOW_NETWORKS": ""}, None),
        ({"REELBRIDGE_PUBLIC_URL": "https://bridge.example.test"}, None),
        ({"REELBRIDGE_TRUSTED_PROXIES": "127.0.0.1"}, None),
        ({"REELBRIDGE_ALLOW_NETWORKS": "127.0.0.0/8"}, None),
        (
            {
                "REELBRIDGE_ALLOW_NETWORKS": "127.0.0.0/8",
                "REELBRIDGE_PUBLIC_URL": "https://bridge.example.test",
            },
            "REELBRIDGE_ALLOW_NETWORKS lets callback URLs lead to programs on this machine",
        ),
        (
            {"REELBRIDGE_ALLOW_NETWORKS": "::/0", "REELBRIDGE_HOST": "0.0.0.0"},
            "REELBRIDGE_ALLOW_NETWORKS lets callback URLs lead to programs on this machine",
        ),
    ],
)
def test_doctor_warns_where_callback_urls_may_lead_to_this_machine(
    tmp_path: Path, chosen: dict[str, str], warning: str | None
) -> None:
    """By default on a laptop, and by a setting where others reach the bridge; never where loopback is closed."""
    shown = run("doctor", cwd=tmp_path, stdin=b"", REELBRIDGE_PORT="1", **chosen).stdout.decode()
    if warning is None:
        assert "callback URLs" not in shown
    else:
        assert f"! {warning}" in shown or ("! callback URLs" in shown and warning in shown)


def test_doctor_finds_misspelt_settings_and_a_store_that_is_not_there(tmp_path: Path) -> None:
    """A typo gets a suggestion, an address without a server a hint, and neither shows the password."""
    done = run(
        "doctor",
        cwd=tmp_path,
        REELBRIDGE_REDIS_URL="redis://:hunter2@127.0.0.1:1/0",
        REELBRIDGE_POL_SCALE="1",
        REELMIRROR_API_KEY="rm_12345678",
        REELMIRROR_BASE_URL="http://127.0.0.1:1/api",
    )
    shown = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 1
    assert "REELBRIDGE_POL_SCALE is no setting: is REELBRIDGE_POLL_SCALE meant?" in shown
    assert "✘ REELBRIDGE_REDIS_URL" in shown
    (about_upstream,) = [line for line in shown.splitlines() if "reelmirror" in line]
    assert about_upstream.startswith("✘ reelmirror: no answer from 127.0.0.1")
    assert about_upstream.endswith("check REELMIRROR_BASE_URL")
    assert "hunter2" not in shown
    assert "rm_12345678" not in shown


async def test_doctor_asks_the_upstream_whether_it_knows_the_key(tmp_path: Path) -> None:
    """Against the simulator: a good key is accepted, a bad one is refused with the name of its variable."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli.main", "simulate", "--port", "0",
        cwd=tmp_path, env=clean_environment(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 90)).decode()
        (url,) = re.findall(r"^simulator ready (http://127\.0\.0\.1:\d+)$", line.strip())
        async with aiohttp.ClientSession() as session, session.get(url + "/reelmirror/api/v1/x") as answer:
            assert answer.status == 401
        good = await asyncio.to_thread(run, "doctor", cwd=tmp_path, REELMIRROR_API_KEY="rm_" + "a" * 32, REELMIRROR_BASE_URL=f"{url}/reelmirror/api")  # fmt: skip
        bad = await asyncio.to_thread(run, "doctor", cwd=tmp_path, REELMIRROR_API_KEY="rm_a", REELMIRROR_BASE_URL=f"{url}/reelmirror/api")  # fmt: skip
    finally:
        process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(process.wait(), 90)
    assert "✔ reelmirror accepts REELMIRROR_API_KEY" in good.stdout.decode()
    assert good.returncode == 0
    assert "✘ reelmirror refuses REELMIRROR_API_KEY" in bad.stdout.decode()
    assert bad.returncode == 1
    assert status == 0


@asynccontextmanager
async def receiving(status: int) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Yield the URL of a receiver on loopback, and a list of the requests that it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((dict(request.headers), await request.read()))
        return web.Response(status=status, text="so be it")

    app = web.Application()
    app.router.add_post("/hook", take)
    async with serving(app) as port:
        yield f"http://127.0.0.1:{port}/hook?token=hunter2", got


@pytest.mark.parametrize("payload", ["full", "thin", "flat", "cloudevents"])
async def test_trigger_posts_a_sample_that_standard_webhooks_accepts(tmp_path: Path, payload: str) -> None:
    """The published library accepts the signature; the URL's query is not printed."""
    async with receiving(200) as (url, got):
        done = await asyncio.to_thread(run, "trigger", "sync_job.completed", "--to", url, "--payload", payload, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)  # fmt: skip
    assert done.returncode == 0, done
    ((headers, body),) = got
    Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
    assert json.loads(body)["id"].startswith("evt_test_")
    assert json.loads(body)["test"] is True
    assert b"hunter2" not in done.stdout + done.stderr


async def test_trigger_prints_what_the_receiver_answered(tmp_path: Path) -> None:
    """A refusal gives status 1 and the receiver's own words."""
    async with receiving(422) as (url, _):
        done = await asyncio.to_thread(run, "trigger", "sync_job.failed", "--to", url, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)  # fmt: skip
    assert done.returncode == 1
    assert b"422" in done.stdout
    assert b"so be it" in done.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["sync_job.complete", "--to", "http://127.0.0.1:1/"], b"there are sync_job.completed"),
        (["sync_job.completed", "--to", "inbox:"], b"--to: `inbox:`"),
        (["sync_job.completed", "--to", "127.0.0.1:1"], b"--to: "),
        (["sync_job.completed", "--to", "https://169.254.169.254/"], b"--to: "),
    ],
)
def test_trigger_refuses_what_it_cannot_send(tmp_path: Path, words: list[str], reason: bytes) -> None:
    """The message names the reason and the fix; there is no traceback."""
    done = run("trigger", *words, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)
    assert done.returncode == 1
    assert reason in done.stderr
    assert b"Traceback" not in done.stderr


def test_simulate_says_how_a_bridge_is_pointed_at_it(tmp_path: Path) -> None:
    """Base URLs and keys stand in its help, as variables to set."""
    shown = run("simulate", "--help", cwd=tmp_path).stdout.decode()
    for name, value in demo_environment("http://127.0.0.1:8090").items():
        assert f"{name}={value}" in shown


def test_simulate_refuses_speed_zero(tmp_path: Path) -> None:
    """Speed 0 would never end a job."""
    done = run("simulate", "--speed", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert b"--speed" in done.stderr

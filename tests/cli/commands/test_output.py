"""What commands print for programs, and how they end when something goes wrong around them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from bridge.cli.commands.overrides import override
from bridge.cli.local.errors import CommandError
from tests.cli.commands.test_commands import (
    BODY,
    SECRET,
    clean_environment,
    receiving,
    run,
    serving,
    signed_headers,
)

KEY = "brk_" + "a" * 40
COLOUR = b"\x1b["
# Breaks a function of our own under a command, as a defect would.
DEFECTIVE = (
    "import sys; from bridge.cli.commands import verify; from bridge.cli import main\n"
    "def fail(**_): raise KeyError(sys.argv[1])\n"
    "verify.explain_signature = fail\n"
    "main.main(['verify', '-H', 'a: b'])"
)


@pytest.mark.parametrize(("changed", "status"), [(b"", 0), (b" ", 1)])
def test_verify_as_json(tmp_path: Path, changed: bytes, status: int) -> None:
    words = ("verify", "--json", "--tolerance", "9999999999", *signed_headers(1_700_000_000))
    done = run(*words, cwd=tmp_path, stdin=BODY + changed, REELBRIDGE_SIGNING_SECRET=SECRET)
    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"]) == (status, status == 0)
    assert any(each.startswith("wrong: ") for each in told["findings"]) == (status == 1)


@pytest.mark.parametrize(("answer", "status"), [(200, 0), (503, 1)])
async def test_trigger_as_json(tmp_path: Path, answer: int, status: int) -> None:
    async with receiving(answer) as (url, got):
        words = ("trigger", "sync_job.completed", "--to", url, "--json")
        done = await asyncio.to_thread(run, *words, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)
    told = json.loads(done.stdout)
    assert (done.returncode, told["delivered"], told["status"]) == (status, status == 0, answer)
    assert told["id"] == got[0][0]["webhook-id"]
    assert "hunter2" not in told["url"]
    assert told["response_excerpt"] == "so be it"


async def test_trigger_overrides_fields(tmp_path: Path) -> None:
    """Text, JSON, a position in a list, and an object that was not there; the signature is of what is sent."""
    async with receiving(200) as (url, got):
        words = ["trigger", "sync_job.failed", "--to", url]
        for each in ("data.status=odd", "run=7", 'metadata.order={"id":42}', "id=evt_mine", "job_id=007"):
            words += ["--override", each]
        done = await asyncio.to_thread(run, *words, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)
    assert done.returncode == 0, done
    body = json.loads(got[0][1])
    assert (body["data"]["status"], body["run"], body["metadata"]) == ("odd", 7, {"order": {"id": 42}})
    assert (body["id"], body["job_id"]) == ("evt_mine", "007")
    assert got[0][0]["webhook-id"] == "evt_mine"


@pytest.mark.parametrize(
    ("setting", "reason"), [("run", "write it as"), ("run.deep.er=1", "leads nowhere"), ("=1", "write it as")]
)
def test_an_override_that_cannot_be_is_refused(setting: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        override({"id": "evt_1", "run": 1}, [setting])


def test_an_id_that_no_header_can_have_is_refused(tmp_path: Path) -> None:
    words = ("trigger", "sync_job.failed", "--to", "http://127.0.0.1:1/", "--override", "id=a\nb")
    done = run(*words, cwd=tmp_path, REELBRIDGE_SIGNING_SECRET=SECRET)
    assert (done.returncode, b"an id is letters" in done.stderr) == (1, True), done.stderr


def test_doctor_as_json(tmp_path: Path) -> None:
    done = run("doctor", "--json", cwd=tmp_path, REELBRIDGE_PORT="1", REELBRIDGE_POL_SCALE="1")
    told = json.loads(done.stdout)
    assert (done.returncode, told["healthy"]) == (0, True)
    assert {
        "level": "warning",
        "text": "REELBRIDGE_POL_SCALE is no setting: is REELBRIDGE_POLL_SCALE meant?",
    } in (told["findings"])


def test_a_defect_is_one_line_and_shows_no_value(tmp_path: Path) -> None:
    """Status 70 and the place; the error's text may hold what nobody is to see."""
    done = subprocess.run(
        [sys.executable, "-c", DEFECTIVE, SECRET],
        cwd=tmp_path,
        env=clean_environment() | {"REELBRIDGE_SIGNING_SECRET": SECRET},
        input=BODY,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 70
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("reelbridge: a defect of reelbridge: KeyError at bridge/cli/commands/verify.py:")
    assert SECRET not in line


async def list_keys(_: web.Request) -> web.Response:
    keys = [{"id": f"key_{n}", "name": "n" * 200, "scopes": ["read"], "created_at": ""} for n in range(2000)]
    return web.json_response({"data": keys, "next_cursor": None})


async def test_a_reader_that_leaves_ends_a_command_as_sigpipe_would(tmp_path: Path) -> None:
    """`reelbridge keys list | head -1`: status 141, and nothing on standard error."""
    app = web.Application()
    app.router.add_get("/v1/keys", list_keys)
    async with serving(app) as port:
        reader, writer = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge.cli.main", "keys", "list"),
            cwd=tmp_path,
            env=clean_environment() | {"REELBRIDGE_API_KEY": KEY, "REELBRIDGE_PORT": str(port)},
            stdout=writer,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writer)
        os.close(reader)
        _, err = await asyncio.wait_for(process.communicate(), 90)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize("chosen", [{}, {"NO_COLOR": "1", "TERM": "xterm-256color", "FORCE_COLOR": "1"}])
async def test_nothing_is_coloured_where_it_must_not_be(tmp_path: Path, chosen: dict[str, str]) -> None:
    """Without a terminal, and with NO_COLOR even where one is claimed."""
    app = web.Application()
    app.router.add_get("/v1/keys", list_keys)
    async with serving(app) as port:
        where = {"REELBRIDGE_API_KEY": KEY, "REELBRIDGE_PORT": str(port)}
        done = await asyncio.to_thread(
            lambda: run("keys", "list", cwd=tmp_path, stdin=b"", **where, **chosen)
        )
    assert done.returncode == 0, done
    assert b"key_1" in done.stdout
    assert not [each for each in done.stdout.split(COLOUR)[1:] if each[:1] in b"3459"]
    assert chosen or COLOUR not in done.stdout

"""What strangers have written is printed as text: names of keys, answers of receivers, headers, callbacks in the inbox."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from bridge.cli.supervisor.inbox import describe_entry
from bridge.cli.supervisor.output import Terminal
from tests.cli.commands.test_commands import BODY, SECRET, run, signed_headers

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202egpj\u2028[bold]x[/bold] :smile:"
CREATED = "2026-11-29T08:57:07.123Z"
UNSAFE = set("\x1b\x07\x9b\u202e\u2028")


@asynccontextmanager
async def answering(body: object, *, status: int = 200) -> AsyncIterator[int]:
    """Answer every request with the same body, as the bridge's API or as a receiver; yield the port."""

    async def take(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        return web.Response(status=status, text=text, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def shown_by(*words: str, cwd: Path, port: int, stdin: bytes = b"", columns: int = 300) -> str:
    """Run a command against the API at a port, and return what it printed."""
    done = await asyncio.to_thread(
        run, *words, cwd=cwd, stdin=stdin, REELBRIDGE_API_KEY="brk_0123", REELBRIDGE_PORT=str(port),
        REELBRIDGE_SIGNING_SECRET=SECRET, PYTHONIOENCODING="utf-8", COLUMNS=str(columns),
    )  # fmt: skip
    return (done.stdout + done.stderr).decode()


async def test_names_of_keys_are_printed_as_text(tmp_path: Path) -> None:
    """Neither control characters nor the markup of the library that draws the table."""
    key = {"id": "key_1", "name": HOSTILE, "scopes": [HOSTILE], "project_id": "prj_1", "key": "brk_x"}
    async with answering({"data": [key]}) as port:
        listed = await shown_by("keys", "list", cwd=tmp_path, port=port)
    async with answering(key) as port:
        made = await shown_by("keys", "create", "--name", HOSTILE, cwd=tmp_path, port=port)
    for text in (listed, made):
        assert not set(text) & UNSAFE
        assert r"\x1b]0;owned\x07\x9b2J\u202egpj\u2028[bold]x[/bold] :smile:" in text


async def test_a_key_is_one_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    """However narrow one would be: a pipe cuts and searches lines."""
    key = {"id": "key_1", "name": "n" * 100, "scopes": ["read"], "project_id": "prj_1", "created_at": CREATED}
    async with answering({"data": [key]}) as port:
        listed = await shown_by("keys", "list", cwd=tmp_path, port=port, columns=40)
    assert listed.splitlines()[1].split() == ["key_1", "n" * 100, "read", "prj_1", CREATED]


async def test_an_error_of_the_api_is_printed_as_text(tmp_path: Path) -> None:
    """Its message may quote what somebody sent."""
    async with answering({"error": {"message": HOSTILE}}, status=400) as port:
        text = await shown_by("keys", "list", cwd=tmp_path, port=port)
    assert r"400 \x1b]0;owned" in text
    assert not set(text) & UNSAFE


async def test_what_a_receiver_answers_is_printed_as_text(tmp_path: Path) -> None:
    """`trigger` shows the beginning of the answer's body."""
    async with answering(HOSTILE, status=500) as port:
        url = f"http://127.0.0.1:{port}/"
        text = await shown_by("trigger", "sync_job.completed", "--to", url, cwd=tmp_path, port=1)
    assert "owned" in text
    assert not set(text) & UNSAFE


async def test_a_header_under_test_is_printed_as_text(tmp_path: Path) -> None:
    """`verify` explains headers that somebody else has sent."""
    headers = [*signed_headers(1_700_000_000)[:-1], f"webhook-signature: {HOSTILE}"]
    text = await shown_by("verify", *headers, cwd=tmp_path, port=1, stdin=BODY)
    assert "wrong:" in text
    assert not set(text) & UNSAFE


def test_what_up_prints_of_its_children_and_of_the_inbox_is_text() -> None:
    """Lines of a process, and a callback whose metadata a client has chosen."""
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.write_line("worker", HOSTILE)
    terminal.write(HOSTILE)
    body = {"type": "sync_job.completed", "job_id": HOSTILE, "metadata": {HOSTILE: HOSTILE}}
    for line in describe_entry({"id": "evt_1", "body": body, "headers": {"webhook-id": HOSTILE}}):
        terminal.write_line("inbox", line)
    text = stream.getvalue()
    assert text.count("owned") == 7
    assert not set(text) & UNSAFE

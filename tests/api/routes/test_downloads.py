"""`GET /v1/jobs/{kind}/{id}/download`: a redirect to a fresh link, and what is said where there is none."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.records import JobState
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import BEARER, Client, make_settings, serving

JOB = "abc123def456"
PATH = f"/v1/jobs/reelbot_video/{JOB}/download"
LINK = "https://bucket.example.test/v1.mp4?sig=x%2By"
GIVEN = {"success": True, "downloadUrl": LINK, "expiresAt": "2026-01-05T11:33:30.000Z"}


@dataclass
class ReelBot:
    """Answers each request for a link alike."""

    status: int = 200
    body: Any = field(default_factory=lambda: GIVEN)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as it is set."""
        self.asked.append(request.path)
        return web.json_response(self.body, status=self.status)


@pytest.fixture
def reelbot() -> ReelBot:
    return ReelBot()


@pytest.fixture
async def api(store_socket: Path, reelbot: ReelBot) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_get("/{path:.*}", reelbot.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    try:
        async with serving(make_settings(store_socket, REELBOT_BASE_URL=url)) as client:
            yield client
    finally:
        await runner.cleanup()


async def end(api: Client, word: str) -> None:
    """Register the video and write its end as a worker would; no word: it is still being made."""
    key = read_callback_job((await api.register(projectId=JOB))["id"])
    assert key is not None
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    seen = (
        replace(loaded.record, state=JobState.ENDED, status=word, ending=word)
        if word
        else replace(loaded.record, status="processing")
    )
    unit = UnitOfWork(key[0], now_ms=api.services.clock_ms(), retention_s=3600)
    unit.put_job(key, seen, loaded)
    assert await api.services.store.committer.commit(unit.change()) == "done"


async def ask(api: Client, path: str = PATH, **headers: str) -> tuple[int, str, Any]:
    """Status, where it redirects to, JSON."""
    sent = headers or BEARER
    async with api.http.get(api.url + path, headers=sent, allow_redirects=False) as answer:
        body = await answer.json() if answer.status != 302 else None
        return answer.status, answer.headers.get("Location", ""), body


async def test_a_finished_video_redirects_to_a_link(api: Client, reelbot: ReelBot) -> None:
    """Byte for byte as ReelBot gave it; each request asks for a new one."""
    await end(api, "completed")
    assert [(await ask(api))[:2] for _ in range(2)] == [(302, LINK)] * 2
    assert reelbot.asked == [f"/api/v1/video/download/{JOB}"] * 2


@pytest.mark.parametrize("word", ["", "failed", "timed_out"])
async def test_no_link_is_asked_for_without_a_file(api: Client, reelbot: ReelBot, word: str) -> None:
    """The 409 says how the video was last seen."""
    await end(api, word)
    status, _, body = await ask(api)
    assert (status, body["error"]["details"]) == (409, {"status": word or "processing"})
    assert reelbot.asked == []


async def test_what_this_project_does_not_watch_is_404(api: Client, reelbot: ReelBot) -> None:
    """Another project's video as well as an unknown one, and a kind of job that makes no file."""
    await end(api, "completed")
    await api.register(job_id="j1")
    _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
    for path, headers in (
        (PATH.replace(JOB, "unknown"), BEARER),
        ("/v1/jobs/sync_job/j1/download", BEARER),
        (PATH, {"X-API-Key": other["key"]}),
    ):
        status, _, body = await ask(api, path, **headers)
        assert (status, body["error"]["code"]) == (404, "NOT_FOUND")
    assert reelbot.asked == []


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"success": False, "code": "VIDEO_NOT_READY", "message": "no"}, 409),
        (404, {"success": False, "code": "OUTPUT_NOT_FOUND", "message": "no"}, 404),
        (404, {"success": False, "code": "NOT_FOUND", "message": "no"}, 404),
        (401, {"success": False, "code": "UNAUTHORIZED", "message": "no"}, 401),
        (403, {"success": False, "message": "no"}, 403),
        (429, {"success": False, "code": "RATE_LIMITED", "message": "no"}, 429),
        (503, {"success": False, "code": "SERVICE_UNAVAILABLE", "message": "no"}, 503),
        (500, {"success": False, "code": "INTERNAL_ERROR", "message": "no"}, 503),
        (200, {"success": True}, 503),
        (200, {"downloadUrl": "javascript:alert(1)"}, 503),
        (200, {"downloadUrl": "https://a.test/\r\nSet-Cookie: a=b"}, 503),
        (200, ["https://a.test/"], 503),
    ],
)
async def test_each_refusal_has_its_status(
    api: Client, reelbot: ReelBot, status: int, body: Any, expected: int
) -> None:
    """Nothing but a link is redirected to, and a later try is promised only where it may help."""
    await end(api, "completed")
    reelbot.status, reelbot.body = status, body
    got, where, answer = await ask(api)
    assert (got, where) == (expected, "")
    assert "reelbot" in answer["error"]["message"].lower() or got == 403


async def test_links_have_a_limit_of_their_own(api: Client, reelbot: ReelBot) -> None:
    """After the share of 30 an hour no more is asked for, and the polls' budget is whole."""
    await end(api, "completed")
    answers = [(await ask(api))[0] for _ in range(31)]
    assert answers[0] == 302
    assert answers[-1] == 429
    assert len(reelbot.asked) == answers.count(302) <= 30
    accounts = (await api.call("GET", "/v1/accounts"))[1]["data"]
    (budget,) = (each["budget"] for each in accounts if each["provider"] == "reelbot")
    assert not any(budget["spent"].values())

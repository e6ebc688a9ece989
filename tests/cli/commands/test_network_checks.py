"""What doctor says of clocks, upstreams' hosts, callback URLs and a running bridge's accounts and deliveries."""

import json
from typing import Any

import pytest
from aiohttp import web

from bridge.cli.commands.network_checks import check_callback, check_upstream, judge_clock
from bridge.cli.commands.service_checks import check_bridge
from bridge.config.settings import Settings
from bridge.providers.registry import PROVIDERS
from tests.cli.commands.test_commands import serving

NOW_MS = 1_795_877_583_000
SETTINGS = Settings(_env_file=None)


@pytest.mark.parametrize(
    ("theirs_ms", "level", "said"),
    [
        (NOW_MS - 29_000, "ok", "the same time"),
        (NOW_MS - 31_000, "wrong", "31 s ahead of x"),
        (NOW_MS + 3_600_000, "wrong", "3600 s behind x"),
        (None, "info", "does not tell"),
    ],
)
def test_a_clock_that_is_off_is_wrong(theirs_ms: int | None, level: str, said: str) -> None:
    """By more than half a minute: receivers refuse signatures that are five minutes off."""
    found = judge_clock("x", theirs_ms, now_ms=NOW_MS)
    assert (found.level, said in found.text) == (level, True)


async def test_a_callback_url_is_reached_without_a_request() -> None:
    """Its query is not shown."""
    asked: list[str] = []

    async def take(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    async with serving(app) as port:
        found = await check_callback(SETTINGS, f"http://127.0.0.1:{port}/hook?token=hunter2")
    assert (found.level, "hunter2" in found.text) == ("ok", False)
    assert asked == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/", "start the receiver"),
        ("https://169.254.169.254/", "--callback: "),
        ("https://nowhere.invalid/", "is not known here"),
        ("nonsense", "--callback: "),
    ],
)
async def test_a_callback_url_that_cannot_work_gets_its_reason(url: str, said: str) -> None:
    """Each with what to do."""
    found = await check_callback(SETTINGS, url)
    assert (found.level, said in found.text) == ("wrong", True), found


async def test_an_upstream_that_is_not_reached_is_told_apart_from_an_unknown_name() -> None:
    """The name of the variable stands beside an unknown one."""
    for url, said in (
        ("http://nowhere.invalid/api", "REELMIRROR_BASE_URL"),
        ("http://127.0.0.1:1/api", "let this"),
    ):
        settings = Settings(_env_file=None, REELMIRROR_API_KEY="rm_" + "a" * 32, REELMIRROR_BASE_URL=url)
        found, is_reached = await check_upstream(settings, PROVIDERS["reelmirror"])
        assert (found.level, said in found.text, is_reached) == ("wrong", True, False), found


async def test_a_running_bridge_tells_of_its_key_its_accounts_and_parked_deliveries() -> None:
    """A refused key is wrong; kinds that it may not read, scopes that are lacking and parked deliveries have their fix."""
    answers: dict[str, Any] = {
        "/readyz": {"status": "ok", "details": {}},
        "/v1/me": {"key": {"scopes": ["read"]}},
        "/v1/accounts": {
            "data": [
                {"id": "acc_1", "provider": "p", "state": "unauthorized"},
                {"id": "acc_2", "provider": "p", "state": "ok", "forbidden_kinds": ["sync_job"]},
                {"id": "acc_3", "provider": "p", "state": "ok", "forbidden_kinds": []},
            ]
        },
        "/v1/deliveries": {"data": [{"destination": "https://r.example.test/", "reason": "500"}]},
    }

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(answers[request.path]), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving(app) as port:
        settings = Settings(_env_file=None, port=port, api_key="brk_" + "a" * 40)
        found = [(each.level, each.text) async for each in check_bridge(settings)]
    levels = [level for level, _ in found]
    text = "\n".join(text for _, text in found)
    assert levels == ["ok", "info", "wrong", "warning", "warning"]
    assert "not register, manage, proxy, admin" in text
    assert "acc_1 (p): its key is refused" in text
    assert "acc_2 (p): its key may not read sync_job" in text
    assert "`reelbridge deliveries recover --since 7d`" in text

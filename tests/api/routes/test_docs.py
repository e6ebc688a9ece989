"""The page at /docs, as a browser shows it."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.api.serving import KEY, Client
from tests.browsers import running_browser


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as started:
        yield started


@pytest.fixture
async def page(browser: Browser) -> Page:
    """An empty tab."""
    return await browser.new_page()


async def test_the_page_shows_and_calls_the_api_and_loads_nothing_from_elsewhere(
    api: Client, page: Page
) -> None:
    """The whole of it runs under the strict policy: neither an inline script nor an inline style is asked for."""
    requested: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    await page.goto(api.url + "/docs")
    await page.get_by_text("/v1/callbacks/{id}/timeline").wait_for()
    assert "reelbridge" in await page.locator("h1.title").inner_text()
    assert await page.locator(".webhooks .opblock").count() > 20
    assert await page.locator(".errors-wrapper").count() == 0  # the viewer understands all of the document

    await page.get_by_role("button", name="Authorize", exact=True).click()
    bearer = page.locator(".auth-container").filter(has_text="bearer")
    await bearer.locator("input").fill(KEY)
    await bearer.locator("button.authorize").click()
    await page.locator(".close-modal").click()

    operation = page.locator("[id$=-get_me]")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    await answer.get_by_text('"default"').first.wait_for()
    assert "200" in await answer.locator("tbody .response-col_status").inner_text()

    assert complaints == []
    assert {re.sub(r"(?<=\w)/.*", "", url.removeprefix("http://")) for url in requested} == {
        api.url.removeprefix("http://")
    }


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css"])
async def test_every_file_of_the_page_comes_under_the_strict_policy(api: Client, path: str) -> None:
    """Nothing inline, nothing from elsewhere, no frame around it."""
    async with api.http.get(api.url + path) as answer:
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
        )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


async def test_the_style_sheet_loads_nothing(api: Client) -> None:
    """Its pictures lie in it."""
    async with api.http.get(api.url + "/docs/swagger-ui.css") as answer:
        text = await answer.text()
    assert "@import" not in text
    assert {url[:5] for url in re.findall(r"url\([\"']?([^)]*)", text)} <= {"data:"}

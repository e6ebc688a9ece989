"""The dashboard as people use it, in a real browser, on the whole running service."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browsers import running_browser
from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator, running_receiver, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDED = {"status": "completed"}
Theme = Literal["light", "dark"]
SIZES = {1300: ViewportSize(width=1300, height=900), 390: ViewportSize(width=390, height=800)}
WAIT_MS = 45_000  # until something must be there, on a machine that has other things to do
# Screenshots are kept where this says, for people to look at.
SHOTS = os.environ.get("REELBRIDGE_SCREENSHOTS", "")
# Each size and each theme once; for people who look, all four together.
LOOKS: list[tuple[int, Theme]] = [(1300, "light"), (390, "dark")]
if SHOTS:
    LOOKS += [(1300, "dark"), (390, "light")]


class Watched:
    """A tab whose complaints and foreign requests are collected."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on(
            "request",
            lambda request: self.foreign.append(request.url) if not request.url.startswith(home) else None,
        )

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "status of 40" not in text:  # a 404 that a test asks for
            self.complaints.append(text)

    def check(self) -> None:
        assert self.complaints == []
        assert self.foreign == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all of them; each test has a context of its own, which shares nothing."""
    async with running_browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


async def sign_in(context: BrowserContext, bridge: Bridge, key: str = API_KEY) -> Watched:
    tab = Watched(await context.new_page(), bridge.url)
    await tab.page.goto(bridge.url + "/")
    await tab.page.get_by_label("Key").fill(key)
    await tab.page.get_by_role("button", name="Sign in").click()
    await tab.page.wait_for_url(lambda url: "/sign-in" not in url)
    return tab


@pytest_asyncio.fixture(loop_scope="module")
async def tab(browser: Browser, bridge: Bridge) -> AsyncIterator[Watched]:
    """Somebody who is signed in, on Now."""
    context = await browser.new_context(viewport=SIZES[1300], timezone_id="Europe/Berlin")
    signed_in = await sign_in(context, bridge)
    yield signed_in
    signed_in.check()
    await context.close()


async def test_a_job_is_tried_out_watched_live_and_received(tab: Watched, simulator: Simulator) -> None:
    """Nothing is reloaded: the row comes, and the callback arrives in the inbox."""
    script = [{"after_s": 2, "set": {"status": "completed"}}]
    job = await simulator.make("sync_job", script=script)
    page = tab.page
    await page.get_by_role("navigation").get_by_role("link", name="Try it").click()
    await page.get_by_label("Id", exact=True).fill(job)
    await expect(page.locator("#curl")).to_contain_text(f'"id":"{job}"')
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_role("status").filter(has_text="Registered for")).to_be_visible()
    arrived = page.locator("#inbox details").filter(has_text=job)
    await expect(arrived).to_have_count(1, timeout=WAIT_MS)
    await expect(arrived.get_by_text("webhook-signature")).to_have_count(1)
    await page.locator("#q").fill(job)
    await page.keyboard.press("Enter")
    await page.locator("main").get_by_role("link", name=job).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(job)
    await expect(page.locator("svg.life .mark")).not_to_have_count(0)


async def test_a_broken_receiver_is_found_mended_and_its_event_recovered(
    tab: Watched, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """A 404 is read on the page, without a reload; a press of Retry reaches the mended receiver once."""
    path = "/hooks/broken"

    async def refuse(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.json_response({"message": "<b>workflow</b> is not active"}, status=404)

    receiver.behaviours[path] = refuse
    job = await simulator.make("sync_job", set=ENDED)
    page = tab.page
    await bridge.register(kind="sync_job", id=job, callback_url=receiver.url + path)
    await page.goto(f"{bridge.url}/jobs/sync_job/{job}")
    await expect(page.locator("#next")).to_contain_text("nothing listens at this URL", timeout=WAIT_MS)
    await page.locator("#attempts").get_by_role("link", name=re.compile("sync_job")).nth(1).click()
    await expect(page.get_by_text("<b>workflow</b> is not active").first).to_be_visible()

    del receiver.behaviours[path]
    tried = len(receiver.at(path))
    await page.get_by_role("button", name="Retry now").click()
    await expect(page.locator("#next")).to_contain_text("It was received", timeout=WAIT_MS)
    assert len({each.event_id for each in receiver.at(path)}) == 1
    assert len(receiver.at(path)) > tried
    await expect(page.get_by_role("button", name="Resend the event")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("The body is the one that the last attempt sent")).to_be_visible()

    async def is_counted() -> bool:
        """What workers count comes to /metrics within seconds."""
        async with aiohttp.ClientSession() as http, http.get(bridge.url + "/metrics") as answer:
            text = await answer.text()
        seen, sent = (
            int(float(re.findall(rf"reelbridge_{name}_lag_seconds_count (\S+)", text)[0]))
            for name in ("detection", "delivery")
        )
        return seen > 0 and sent > 0 and 'attempts_total{verdict="retry"} 0.0' not in text

    await until(is_counted)
    await page.goto(bridge.url + "/")
    await expect(page.locator("#lag")).to_contain_text("Ends seen within")
    await expect(page.locator("#lag .bars rect")).not_to_have_count(0)


async def test_an_endpoint_is_made_tested_rotated_and_switched_off(
    tab: Watched, bridge: Bridge, receiver: Receiver
) -> None:
    page = tab.page
    await page.get_by_role("navigation").get_by_role("link", name="Endpoints").click()
    form = page.locator("form[action='/endpoints']")
    await form.locator("[name=url]").fill(receiver.url + "/standing")
    await form.locator("[name=events]").fill("*.failed")
    await form.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("status").filter(has_text="The endpoint is made")).to_be_visible()
    await page.get_by_role("button", name="Send a sample").click()
    await expect(page.get_by_role("status").filter(has_text="status 200")).to_be_visible()
    assert len(receiver.at("/standing")) == 1
    await page.get_by_role("button", name="Show").click()
    first = await page.locator("#secret").inner_text()
    assert first.startswith("whsec_")
    await page.get_by_text("Rotate…").click()
    await page.get_by_role("button", name="Rotate the secret").click()
    await expect(page.get_by_text("The former secret signs too")).to_be_visible()
    await page.get_by_role("button", name="Disable").click()
    await expect(page.locator("main .badge").first).to_contain_text("disabled")
    await bridge.call("DELETE", f"/v1/endpoints/{page.url.partition('?')[0].rpartition('/')[2]}")


async def test_a_page_says_whether_it_is_live(tab: Watched, bridge: Bridge) -> None:
    """Connecting, live, paused; and a key that is revoked leads to the sign-in by itself."""
    _, made = await bridge.call("POST", "/v1/keys", {"name": "short", "scopes": ["read"]})
    context = await (tab.page.context.browser or pytest.fail("no browser")).new_context()
    reader = await sign_in(context, bridge, made["key"])
    state = reader.page.locator("#live-state")
    await expect(state).to_have_text(re.compile(r"live \d+ s ago"))
    await expect(reader.page.get_by_text("read-only")).to_be_visible()
    await reader.page.keyboard.press("p")
    await expect(state).to_have_text("paused")
    await reader.page.keyboard.press("p")
    await expect(state).to_have_text(re.compile(r"live \d+ s ago"))
    await bridge.call("DELETE", f"/v1/keys/{made['id']}")
    await reader.page.wait_for_url(re.compile("/sign-in"))
    await context.close()


async def test_eight_tabs_of_one_browser_all_load(tab: Watched, bridge: Bridge) -> None:
    """A browser has six connections to a host: the oldest streams give theirs up."""
    tabs = [await tab.page.context.new_page() for _ in range(7)]
    for each in tabs:
        await each.goto(bridge.url + "/", wait_until="load")
        await expect(each.locator("#live-state")).to_have_text(re.compile(r"live \d+ s ago"))
    for each in tabs:
        await each.close()


async def test_new_rows_wait_until_they_are_wanted(
    tab: Watched, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """What somebody reads does not move: a button says how many there are."""
    page, path = tab.page, receiver.url + "/rows"
    first, second = [await simulator.make("sync_job", set=ENDED) for _ in range(2)]
    await bridge.register(kind="sync_job", id=first, callback_url=path)
    await receiver.wait("/rows")
    await page.goto(f"{bridge.url}/deliveries?state=any&receiver={receiver.url}")
    await expect(page.locator("[data-row]")).to_have_count(1)
    await bridge.register(kind="sync_job", id=second, callback_url=path)
    await expect(page.locator(".news")).to_have_text("1 new · show", timeout=WAIT_MS)
    await expect(page.locator("[data-row]")).to_have_count(1)
    await page.locator(".news").click()
    await expect(page.locator("[data-row]")).to_have_count(2)
    await expect(page.locator(".news")).to_have_count(0)


async def test_the_keyboard_alone_is_enough(tab: Watched, bridge: Bridge, simulator: Simulator) -> None:
    job = await simulator.make("sync_job")
    await bridge.register(kind="sync_job", id=job, callback_url="inbox:")
    page = tab.page
    await page.keyboard.press("?")
    await expect(page.locator("dialog#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await page.keyboard.type(job)
    await page.keyboard.press("Enter")
    await expect(page.locator("main").get_by_role("link", name=job)).to_be_visible()
    await page.locator("body").press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(job)
    await page.keyboard.press("t")
    await expect(page.locator("#next time").first).to_have_text(re.compile(r"\d{4}-\d\d-\d\d .* \+0[12]:00"))
    await page.keyboard.press("t")
    await page.keyboard.press("g")
    await page.keyboard.press("d")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Deliveries")


async def test_all_works_without_the_script(browser: Browser, bridge: Bridge, simulator: Simulator) -> None:
    context = await browser.new_context(java_script_enabled=False)
    tab = await sign_in(context, bridge)
    page = tab.page
    job = await simulator.make("sync_job")
    await page.goto(bridge.url + "/try")
    await page.locator("#try input[name=id]").fill(job)
    await page.locator("#try button").click()
    await expect(page.get_by_text(f"Registered for sync_job {job}")).to_be_visible()
    await page.goto(f"{bridge.url}/jobs/sync_job/{job}")
    await expect(page.locator("#next time").first).to_contain_text("UTC")
    tab.check()
    await context.close()


async def find_paths(bridge: Bridge, simulator: Simulator, receiver: Receiver) -> dict[str, str]:
    """Every page with something on it."""
    job = await simulator.make("sync_job", set=ENDED)
    running = await simulator.make("sync_job", set={"status": "running"}, script=[])

    async def refuse(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(status=503, text="try later")

    receiver.behaviours["/fails"] = refuse
    await bridge.register(kind="sync_job", id=running, callback_url="inbox:")
    await bridge.register(kind="sync_job", id=job, callback_url=receiver.url + "/fails")
    await bridge.register(kind="sync_job", id=job, callback_url=receiver.url + "/seen?token=1")
    await receiver.wait("/seen?token=1")
    _, made = await bridge.call(
        "POST", "/v1/endpoints", {"url": receiver.url + "/shown", "events": ["*.failed"]}
    )
    _, events = await bridge.call("GET", f"/v1/events?job_id={job}")
    event = events["data"][0]["id"]
    _, deliveries = await bridge.call("GET", f"/v1/deliveries?event_id={event}")
    return {
        "now": "/",
        "job": f"/jobs/sync_job/{job}",
        "unwatched": "/jobs/sync_job/unknown-here",
        "events": "/events",
        "event": f"/events/{event}",
        "deliveries": "/deliveries?state=any",
        "delivery": f"/deliveries/{deliveries['data'][0]['id']}",
        "recover": "/deliveries/recover",
        "endpoints": "/endpoints",
        "endpoint": f"/endpoints/{made['id']}",
        "accounts": "/accounts",
        "try": "/try",
        "settings": "/settings",
        "keys": "/settings/keys",
        "find": "/find?q=nothing",
    }


async def find_problems(page: Page, name: str, width: int, theme: Theme) -> list[str]:
    """Show a page at a size and in a theme; say what axe-core finds serious, and whether it scrolls sideways."""
    await page.set_viewport_size(SIZES[width])
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    results = await Axe().run(page, options={"resultTypes": ["violations"]})
    serious = [each for each in results.response["violations"] if each["impact"] in ("serious", "critical")]
    found = [f"{width} {theme}, {each['id']}: {each['nodes'][0]['html'][:200]}" for each in serious]
    sideways = await page.evaluate("document.documentElement.scrollWidth")
    if sideways > width:
        found.append(f"{sideways} px wide")
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{theme}.png", full_page=True)
    return found


async def test_everybody_can_use_every_page(
    browser: Browser, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """axe-core finds nothing serious, nothing scrolls sideways, and nothing is loaded from elsewhere."""
    context = await browser.new_context(viewport=SIZES[1300])
    paths = await find_paths(bridge, simulator, receiver)
    tab = await sign_in(context, bridge)
    found: dict[str, list[str]] = {}
    for name, path in paths.items():
        await tab.page.goto(bridge.url + path)
        await expect(tab.page.locator("h1")).to_have_count(1)
        found[name] = [problem for look in LOOKS for problem in await find_problems(tab.page, name, *look)]
    assert {name: problems for name, problems in found.items() if problems} == {}
    tab.check()
    await context.close()

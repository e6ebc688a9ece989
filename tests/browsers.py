"""A headless Chromium of the system, for tests of web pages."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run a browser; skip the test where there is none, but fail in CI. `make test` installs it where it can."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None and os.environ.get("CI") != "true":
        pytest.skip("Chromium is not installed: apt-get install chromium")
    assert path is not None, "CI needs Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        options = ["--disable-background-networking"]
        started = await playwright.chromium.launch(executable_path=path, args=options)
        try:
            yield started
        finally:
            await started.close()

"""Headless Chromium of this computer, for tests of what people see."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

from tests import setup

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser. Without one the tests are skipped, but never in CI."""
    executable = setup.browser()
    if executable is None:
        assert not os.environ.get("CI"), "In CI nothing may be skipped, and there is no Chromium."
        pytest.skip("there is no Chromium; python -m tests.setup installs it where it may")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()

"""A real browser (Debian's Chromium, driven by Playwright) on the dashboard of a real daemon.

Whatever a test does there, the browser must have nothing to complain of: a violation of the Content-Security-Policy, a
script that failed or a request that went elsewhere fails the test when its tab is closed.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.running import PATIENCE_S, RunningDaemon

PHONE = {"width": 375, "height": 740}
DESK = {"width": 1280, "height": 900}
expect.set_options(timeout=1_000 * PATIENCE_S)
_WATCH = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation",
    (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        if "CI" in os.environ:
            pytest.fail("Debian's chromium is not installed")
        pytest.skip("needs Debian's chromium")
    return found


@asynccontextmanager
async def browser(*arguments: str) -> AsyncIterator[Browser]:
    async with asyncio.timeout(PATIENCE_S):
        playwright = await async_playwright().start()
        made = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", *arguments])
    try:
        yield made
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await made.close()
            await playwright.stop()


class Tab:
    """`page` is Playwright's."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"a script failed: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _heard(self, kind: str, text: str) -> None:
        # What a test asks for on purpose (401, 404, …) is on the console too.
        if kind == "error" and "Failed to load resource" not in text and "EventSource" not in text:
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {url}")

    async def go(self, path: str) -> int:
        """The status."""
        response = await self.page.goto(f"{self.url}{path}")
        assert response is not None
        return response.status

    async def log_in(self, token: str) -> None:
        await self.go("/login")
        await self.page.get_by_label("Token").fill(token)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.get_by_role("button", name="Log out").wait_for()


@asynccontextmanager
async def tab(running: RunningDaemon, opened: Browser, *, token: str | None = "", **context: Any) -> AsyncIterator[Tab]:
    """Logged in with the daemon's own token, another one, or (None) not at all. `context` is Playwright's."""
    async with asyncio.timeout(PATIENCE_S):
        made = await opened.new_context(**{"viewport": DESK, **context})
        await made.add_init_script(_WATCH)
        page = await made.new_page()
    try:
        found = Tab(page, running.admin)
        if token is not None:
            await found.log_in(token or running.token)
        yield found
        found.complaints += await found.page.evaluate("window.violations ?? []")
        assert found.complaints == []
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await made.close()

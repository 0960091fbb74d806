"""Who comes in, how, and for how long."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.dashboard.browsing import browser, tab
from tests.running import RunningDaemon, configuration, daemon


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path, configuration()) as made:
        yield made


async def test_the_token_in_the_data_directory_opens_the_overview(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        assert found.page.url == f"{running.admin}/"
        assert await found.page.get_by_role("heading", name="Overview").is_visible()


async def test_a_wrong_token_is_told_so_and_opens_nothing(opened: Browser, running: RunningDaemon):
    async with tab(running, opened, token=None) as found:
        assert await found.go("/") == 401
        await found.page.get_by_label("Token").fill("whd_wrong")
        await found.page.get_by_role("button", name="Log in").click()
        assert "not known here" in await found.page.get_by_role("alert").inner_text()
        assert await found.go("/") == 401

"""The dashboard without a mouse: everything is reached with Tab, seen where one is, and done with Enter."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.dashboard.browsing import browser, tab
from tests.running import RunningDaemon, configuration, daemon, endpoint

TABS_MAX = 60
_FOCUS = """() => {
    const style = getComputedStyle(document.activeElement), box = document.activeElement.getBoundingClientRect();
    const is_there = box.width > 0 && box.left >= 0 && box.top >= 0 && box.top < innerHeight;
    return is_there && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2; }"""
_MOVING = """() => [...document.querySelectorAll("*")].filter((each) => {
    const style = getComputedStyle(each);
    return style.animationName !== "none" || style.transitionDuration.split(",").some((one) => parseFloat(one) > 0) ||
      style.scrollBehavior === "smooth"; }).map((each) => each.outerHTML.slice(0, 100))"""


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path, configuration(endpoints=endpoint("shop", 1024))) as made:
        yield made


async def tab_to(page: Page, wanted: Locator) -> None:
    """Tab by Tab from the top of a page that is there, and where one is is to be seen."""
    for _ in range(TABS_MAX):
        await page.keyboard.press("Tab")
        assert await page.evaluate(_FOCUS), await page.evaluate("document.activeElement.outerHTML")
        if await wanted.evaluate("(each) => each === document.activeElement"):
            return
    pytest.fail(f"{TABS_MAX} times Tab do not lead to {wanted}")


async def test_in_through_the_pages_and_out_again(opened: Browser, running: RunningDaemon):
    async with tab(running, opened, token=None) as found:
        page = found.page
        await found.go("/login")
        await page.keyboard.type(running.token)  # the field has the focus already
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()

        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()

        await found.go("/")
        await tab_to(page, page.get_by_role("navigation", name="Pages").get_by_role("link", name="Endpoints"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Endpoints", level=1)).to_be_visible()
        await tab_to(page, page.get_by_role("main").get_by_role("link", name="shop", exact=True))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="shop", level=1)).to_be_visible()
        await tab_to(page, page.get_by_role("button", name="Pause"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Resume")).to_be_visible()
        await tab_to(page, page.get_by_role("button", name="Resume"))

        await found.go("/")
        await tab_to(page, page.get_by_role("button", name="Log out"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Token")).to_be_focused()


async def test_a_list_is_narrowed_with_the_keyboard(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        page = found.page
        await found.go("/events")
        await tab_to(page, page.get_by_role("main").get_by_label("Type"))
        await page.keyboard.type("charge.*")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/events?*type=charge.*")


async def test_for_who_does_not_want_it_nothing_moves(opened: Browser, running: RunningDaemon):
    async with tab(running, opened, reduced_motion="reduce") as found:
        for path in ("/", "/events", "/endpoints/shop", "/endpoints/new"):
            await found.go(path)
            assert await found.page.evaluate(_MOVING) == []

"""A page that is open stays up to date, over whatever happens to the daemon, to the session and to the window."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from playwright.async_api import Browser, Page, Request, Route, expect
from structlog.testing import capture_logs

from tests.admin.desk import desk
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.dashboard.browsing import browser, tab
from tests.fake_clock import FakeClock
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from webhookd.admin.dashboard.frame.live import WATCHERS_MAX, Live, News

PATIENCE_MS = 1_000 * PATIENCE_S


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path, configuration()) as made:
        yield made


async def happen(running: RunningDaemon, event_id: str) -> None:
    body = stripe_event(event_id)
    status, _ = await post(running, "stripe", body, stripe_headers(body))
    assert status == 200


async def has_accepted(page: Page, count: int) -> None:
    """Until the page says so of the source."""
    row = page.locator("#sources tr", has=page.get_by_role("link", name="stripe"))
    await expect(row.locator("td").nth(3)).to_have_text(str(count), timeout=PATIENCE_MS)


async def look_away(page: Page, *, hidden: bool) -> None:
    await page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


async def test_what_comes_in_is_on_a_page_that_is_open(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        await has_accepted(found.page, 0)
        await found.page.evaluate("window.stays = true")
        await happen(running, "evt_1")
        await has_accepted(found.page, 1)
        assert await found.page.evaluate("window.stays"), "without loading the page anew"


async def test_a_page_goes_on_when_the_daemon_was_killed_and_is_there_again(opened: Browser, tmp_path: Path):
    async with daemon(tmp_path, configuration()) as running:
        admin = running.admin
        config = tmp_path / "webhookd.toml"
        config.write_text(config.read_text().replace('admin_listen = "127.0.0.1:0"', f'admin_listen = "{admin[7:]}"'))
        async with tab(running, opened) as found:
            await happen(running, "evt_1")
            await has_accepted(found.page, 1)
            offline = found.page.get_by_text("the daemon does not answer")
            await expect(offline).to_be_hidden()
            await running.kill()
            await expect(offline).to_be_visible(timeout=PATIENCE_MS)
            await running.start()
            assert running.admin == admin
            await expect(offline).to_be_hidden(timeout=PATIENCE_MS)
            await has_accepted(found.page, 0)
            await happen(running, "evt_2")
            await has_accepted(found.page, 1)


async def test_a_window_that_nobody_looks_at_asks_for_nothing_and_catches_up(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        await happen(running, "evt_1")
        await has_accepted(found.page, 1)
        async with found.page.expect_event("requestfailed", _is_live):
            await look_away(found.page, hidden=True)
        await happen(running, "evt_2")
        async with found.page.expect_request("**/live"):
            await look_away(found.page, hidden=False)
        await has_accepted(found.page, 2)


async def test_when_the_session_is_over_the_page_is_the_login(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        await found.go("/?over=day")
        other = await found.page.context.new_page()
        await other.goto(running.admin)
        await other.get_by_role("button", name="Log out").click()
        await expect(found.page.get_by_label("Token")).to_be_visible(timeout=PATIENCE_MS)
        await found.page.get_by_label("Token").fill(running.token)
        await found.page.get_by_role("button", name="Log in").click()
        await expect(found.page).to_have_url(f"{running.admin}/?over=day")


async def test_one_page_too_many_says_that_it_is_not_kept_up_to_date_until_there_is_room(
    opened: Browser, running: RunningDaemon
):
    async with tab(running, opened) as found, AsyncExitStack() as watching:
        await look_away(found.page, hidden=True)
        cookies = {each["name"]: each["value"] for each in await found.page.context.cookies()}
        session = await watching.enter_async_context(aiohttp.ClientSession(cookies=cookies))
        session.connector._limit = 0  # type: ignore[union-attr]
        streams = [await session.get(f"{running.admin}/live") for _ in range(WATCHERS_MAX + 1)]
        refused = [each for each in streams if each.status == 503]
        assert refused
        await look_away(found.page, hidden=False)
        said = found.page.get_by_text(f"{WATCHERS_MAX} pages are open already")
        await expect(said).to_be_visible(timeout=PATIENCE_MS)
        assert await found.page.get_by_role("heading", name="Overview").is_visible()
        for each in streams:
            each.close()
        await expect(said).to_be_hidden(timeout=PATIENCE_MS)
        await happen(running, "evt_1")
        await has_accepted(found.page, 1)


async def test_what_was_opened_and_closed_stays_so_when_its_part_is_drawn_anew(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        figures = found.page.locator("#flow-figures")
        await figures.locator("summary").click()
        await expect(figures).to_have_attribute("open", "")
        await figures.get_by_role("region").evaluate("(table) => table.scrollTo(0, table.scrollHeight)")
        await happen(running, "evt_1")
        events_in = figures.locator("tbody td:nth-of-type(1)")  # one a minute, and a minute may just have ended
        await expect(events_in.filter(has_text=re.compile("^1$"))).to_have_count(1, timeout=PATIENCE_MS)
        await expect(figures).to_have_attribute("open", "")
        assert await figures.get_by_role("region").evaluate("(table) => table.scrollTop") > 0
        assert await found.page.evaluate("document.activeElement.id") == "flow-summary"


@pytest.mark.parametrize("path", ["/refused/quarantined", "/events/{}"])
async def test_what_was_chosen_stays_chosen_when_its_part_is_drawn_anew(opened: Browser, tmp_path: Path, path: str):
    endpoints = endpoint("shop", 1024) + endpoint("stock", 1024)
    async with daemon(tmp_path, configuration(endpoints=endpoints)) as running, desk(running) as operator:
        body = b'{"id": 5}'
        assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 200
        [event] = (await operator.get("/events"))["data"]
        async with tab(running, opened) as found:
            await found.go(path.format(event["id"]))
            choice = found.page.locator("select:has(option:text-is('stock'))")
            await choice.select_option("stock")
            await choice.press("Tab")
            part = found.page.locator("[data-fresh]", has=choice)
            await part.evaluate("(part) => { part.dataset.fresh = '1'; part.classList.add('before'); }")
            await happen(running, "evt_1")
            await expect(found.page.locator(".before")).to_have_count(0)
            await expect(choice).to_have_value("stock")


async def test_a_button_that_is_pressed_twice_sends_its_form_once(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        await found.go("/endpoints/new")
        sent: list[Route] = []

        async def hold(route: Route) -> None:
            sent.append(route)

        await found.page.route("**/endpoints/new", hold)  # so that the page stays until it was pressed often enough
        async with found.page.expect_console_message(lambda message: message.text == "pressed"):
            await found.page.get_by_role("button", name="Add the endpoint").evaluate(
                """(button) => {
                  for (let times = 0; times < 5; times++) setTimeout(() => button.click(), 20 * times);
                  setTimeout(() => console.log("pressed"), 100);
                }"""
            )
        [only] = sent
        await only.continue_()
        await expect(found.page.get_by_text("Nothing was saved")).to_be_visible()
        assert sent == [only]


async def test_whoever_watches_is_told_numbers_each_second_and_is_told_no_more_when_the_daemon_stops(
    running: RunningDaemon,
):
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session, asyncio.timeout(PATIENCE_S):
        await session.post(
            f"{running.admin}/login",
            data={"token": running.token, "then": "/"},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        async with session.get(f"{running.admin}/live") as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            told = [line async for line in _lines(stream, 3)]
            assert all(b'"commits":' in line and b'"accepted_per_s":' in line for line in told)
            stopping = asyncio.create_task(running.stop())
            await stream.content.read()  # to its end
        assert await stopping == 0


async def test_a_fault_of_ours_in_what_is_told_is_in_the_log_once_and_the_next_news_are_told():
    class Everybody:
        def keep(self, _guest: object) -> bool:
            return True

    clock, asked = FakeClock(0), 0

    async def read() -> News:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise ZeroDivisionError("of nothing")
        return News(asked)

    live = Live(read, cast(Any, Everybody()), clock)
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
    live._watchers[queue] = cast(Any, None)
    with capture_logs() as logged:
        ticking = asyncio.create_task(live._tick())
        told = []
        for _ in range(3):
            told.append(await queue.get())
            clock.advance_to_next_timer()
    live._watchers.clear()
    await ticking
    assert [each["event"] for each in logged] == ["live_failed"]
    assert told[-1] == b'data: {"commits":3}\n\n'


async def _lines(stream: aiohttp.ClientResponse, count: int) -> AsyncIterator[bytes]:
    async for line in stream.content:
        if line.startswith(b"data:"):
            yield line
            count -= 1
        if not count:
            return


def _is_live(request: Request) -> bool:
    return request.url.endswith("/live")

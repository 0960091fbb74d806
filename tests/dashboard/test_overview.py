"""The first page: what is going on and what is stuck, seen as it happens."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.admin.desk import desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.dashboard.browsing import PHONE, browser, tab
from tests.dashboard.plain import plain
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from webhookd.admin.dashboard.overview import numbers_of
from webhookd.admin.ledger_views import Revenue
from webhookd.admin.pulse import Now

PATIENCE_MS = 1_000 * PATIENCE_S


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def shop() -> AsyncIterator[Merchant]:
    async with merchant() as made:
        yield made


@pytest.fixture
async def running(tmp_path: Path, shop: Merchant) -> AsyncIterator[RunningDaemon]:
    endpoints = endpoint("shop", shop.port) + endpoint("stock", shop.port)
    async with daemon(tmp_path, configuration(endpoints=endpoints)) as made:
        yield made


async def happen(running: RunningDaemon, event_id: str) -> None:
    body = stripe_event(event_id)
    status, _ = await post(running, "stripe", body, stripe_headers(body))
    assert status == 200


@asynccontextmanager
async def busy(running: RunningDaemon) -> AsyncIterator[None]:
    """One hook after the other comes in meanwhile."""

    async def send() -> None:
        for number in count():
            await happen(running, f"evt_busy_{number}")

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def chart(page: Page, title: str) -> Locator:
    return page.get_by_role("img", name=title)


async def test_a_hook_is_in_the_numbers_and_in_the_charts_without_loading_the_page(
    opened: Browser, running: RunningDaemon, shop: Merchant
):
    async with tab(running, opened) as found:
        page = found.page
        await expect(chart(page, "Events in, deliveries out")).to_have_attribute(
            "aria-label", re.compile("events in from 0 to 0")
        )
        await page.evaluate("window.stays = true")
        async with busy(running):
            await expect(page.locator('[data-number="accepted_per_s"]')).not_to_have_text("0", timeout=PATIENCE_MS)
            await expect(page.locator('[data-number="delivered_per_s"]')).not_to_have_text("0", timeout=PATIENCE_MS)
            await expect(chart(page, "Events in, deliveries out")).to_have_attribute(
                "aria-label",
                re.compile("events in from 0 to [1-9].*deliveries out from 0 to [1-9]"),
                timeout=PATIENCE_MS,
            )
            await expect(page.locator('[data-number="success_rate"]')).to_have_text("100%", timeout=PATIENCE_MS)
            latency = page.locator('[data-number="ack_p50"]')
            await expect(latency).to_have_text(re.compile(r"\d.* m?s"), timeout=PATIENCE_MS)
        assert await page.evaluate("window.stays")


async def test_the_time_that_the_charts_show_is_in_the_url(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        await found.page.get_by_role("link", name="Day", exact=True).click()
        await expect(found.page).to_have_url(f"{running.admin}/?over=day")
        await expect(found.page.get_by_role("heading", name="The last day")).to_be_visible()
        await expect(found.page.get_by_role("link", name="Day", exact=True)).to_have_attribute("aria-current", "true")
        await found.page.locator("#flow-figures summary").click()
        assert await found.page.locator("#flow-figures tbody tr").count() in (144, 145)


async def test_an_open_breaker_and_a_pause_are_seen_as_they_happen_and_a_pause_is_ended_from_here(
    opened: Browser, running: RunningDaemon, shop: Merchant
):
    shop.answer = lambda got: 500 if got.path == "/shop" else 200
    async with tab(running, opened) as found, desk(running) as operator:
        needy = found.page.locator("#needy")
        await operator.done("POST", "/endpoints/stock/pause")
        await expect(needy.get_by_role("row", name="stock")).to_contain_text("by a person", timeout=PATIENCE_MS)
        for number in range(5):
            await happen(running, f"evt_{number}")
        failing = needy.get_by_role("row", name="shop")
        await expect(failing).to_contain_text("its attempts began to fail", timeout=PATIENCE_MS)
        await expect(failing).to_contain_text("the last one: answered 500")
        await expect(failing.get_by_role("link", name="See its last error")).to_be_visible()
        await needy.get_by_role("row", name="stock").get_by_role("button", name="Resume").click()
        await expect(found.page.get_by_text("goes on")).to_be_visible()
        assert {got.path for got in await shop.has(10)} == {"/shop", "/stock"}
        await found.go("/")
        await expect(needy.get_by_role("row", name="stock")).to_be_hidden(timeout=PATIENCE_MS)


async def test_a_fresh_daemon_says_what_to_do_and_what_it_says_works(opened: Browser, running: RunningDaemon):
    async with tab(running, opened) as found:
        command = (await found.page.locator("#first-steps pre").inner_text()).split()
        assert command[:3] == ["webhookd", "trigger", "stripe"]
        trigger = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *command),
            cwd=running.directory,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await trigger.wait() == 0
        await expect(found.page.locator("#first-steps")).to_be_hidden(timeout=PATIENCE_MS)
        await expect(found.page.locator('[data-number="captured"]')).to_have_text("42.00 USD", timeout=PATIENCE_MS)


async def test_on_a_phone_the_page_is_as_wide_as_the_screen_and_the_button_is_on_it(
    opened: Browser, running: RunningDaemon
):
    async with tab(running, opened, viewport=PHONE) as found, desk(running) as operator:
        await operator.done("POST", "/endpoints/stock/pause")
        await found.go("/")
        assert await found.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        await expect(found.page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_source_whose_hooks_are_refused_needs_somebody_until_one_is_taken(
    opened: Browser, running: RunningDaemon
):
    body = stripe_event("evt_signed_with_another")
    async with tab(running, opened) as found:
        needy = found.page.locator("#needy")
        await happen(running, "evt_before")
        await expect(needy).to_contain_text("All endpoints are well", timeout=PATIENCE_MS)
        status, _ = await post(running, "stripe", body, {})  # as who knocks at every door does
        assert status == 401
        status, _ = await post(running, "stripe", body + b" ", stripe_headers(body))
        assert status == 401
        await expect(needy).to_contain_text("Hooks of stripe are refused", timeout=PATIENCE_MS)
        await expect(needy).not_to_contain_text("are well")
        await expect(needy.get_by_role("link", name="See why")).to_have_attribute("href", "/refused/sources/stripe")
        await happen(running, "evt_after")
        await expect(needy).to_contain_text("All endpoints are well", timeout=PATIENCE_MS)


async def test_another_time_is_refused(running: RunningDaemon):
    async with plain(running) as guest:
        seen = await guest.get("/?over=week")
        assert seen.status == 422
        assert "over" in seen.words


async def test_whoever_may_only_look_is_offered_no_button(running: RunningDaemon):
    async with desk(running) as operator:
        await operator.done("POST", "/endpoints/stock/pause")
        token = (await operator.done("POST", "/tokens", {"name": "looker", "scope": "read"}))["token"]
    async with plain(running, token) as guest:
        seen = await guest.get("/")
        assert "by a person" in seen.words
        assert "Resume" not in seen.words


def now(**fields: Any) -> Now:
    given: dict[str, Any] = dict.fromkeys(Now.__struct_fields__, None)
    numbers = dict.fromkeys(("accepted_per_s", "delivered_per_s", "in_flight", "backlog", "dead"), 0)
    return Now(**{**given, **numbers, "at": "2026-05-01T12:00:00.000Z", "ready": True, "captured_today": [], **fields})


@pytest.mark.parametrize(
    ("fields", "place", "text"),
    [
        ({}, "success_rate", "–"),
        ({"success_rate": 1.0}, "success_rate", "100%"),
        ({"success_rate": 0.99999}, "success_rate", "99.99%"),
        ({"success_rate": 0.5}, "success_rate", "50%"),
        ({"backlog": 7}, "backlog", "…"),
        ({"backlog": 7_000, "counted_s": 0.1}, "backlog", "7,000"),
        ({"oldest_pending_at": "2026-05-01T11:00:00.000Z"}, "oldest", "1h"),
        ({"accepted_per_s": 0.24}, "accepted_per_s", "0.2"),
        ({"accepted_per_s": 1_234.5}, "accepted_per_s", "1,234"),
        ({"ack_p50_ms": 1.2345}, "ack_p50", "1.2 ms"),
        ({}, "why_not_ready", ""),
        ({"ready": False, "why_not_ready": "The disk is full."}, "why_not_ready", "Not ready: The disk is full."),
        ({}, "captured", "nothing yet"),
        ({"captured_today": None}, "captured", "…"),
        ({"counted_s": 59.0}, "is_old", ""),
        (
            {"captured_today": [Revenue(*("EUR", 2, 990, 0, 990, 0, 0)), Revenue(*("JPY", 0, 500, 0, 500, 0, 0))]},
            *("captured", "9.90 EUR · 500 JPY"),
        ),
    ],
)
def test_numbers_are_told_in_words_that_hold(fields: dict[str, Any], place: str, text: str):
    assert numbers_of(now(**fields))[place] == text


def test_a_count_that_is_old_is_said_to_be():
    assert numbers_of(now(counted_s=190.0))["is_old"].startswith("What is waiting and dead was counted 3m 10s ago: ")

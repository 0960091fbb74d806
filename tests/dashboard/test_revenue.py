"""What was earned, on a page and in a file: exact, each currency by itself."""

import csv
import io
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.dashboard.browsing import browser, tab
from tests.dashboard.plain import plain
from tests.dev_daemon import DevDaemon, dev_daemon
from tests.running import PATIENCE_S
from tests.shop import Shop
from webhookd.admin.dashboard.frame.render import digits_text, money_text
from webhookd.admin.dashboard.revenue import SUMS, charts, csv_text, totals
from webhookd.admin.ledger_views import Money, Revenue

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY_S = 86_400
NOW_S = int(time.time())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("revenue")) as found:
        shop = Shop(found, "earned")
        for number, (currency, age_days) in enumerate(
            [("usd", 0), ("usd", 1), ("eur", 1), ("jpy", 5), ("xtq", 6), ("usd", 45), ("usd", 400)]
        ):
            await shop.intent(f"pi_{number}", at=NOW_S - age_days * DAY_S, currency=currency)
        await shop.refund("re_1", "pi_1", 1050, NOW_S - DAY_S)
        await shop.refund("re_2", "pi_5", 500, NOW_S)
        await shop.refund("re_3", "pi_6", 1000, NOW_S)
        dispute = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_0", "amount": 800, "currency": "usd"}
        await shop.says("charge.dispute.created", {**dispute, "status": "needs_response"}, NOW_S)
        yield found


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("by", ["day", "month", "provider"])
async def test_the_file_opens_and_sums_up_to_what_the_api_says(dev: DevDaemon, by: str):
    async with plain(dev.running) as found:
        seen = await found.get(f"/revenue.csv?by={by}&since=2020-01-01")
    assert (seen.status, seen.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert seen.headers["Content-Disposition"] == f'attachment; filename="revenue-by-{by}.csv"'
    assert seen.headers["Content-Security-Policy"] == "sandbox"
    told: Counter[Any] = Counter()
    for row in rows_of(seen.text):
        for name in SUMS:
            told[row["currency"], name] += Decimal(row[name]).scaleb(int(row["exponent"] or 0))
    expected: Counter[Any] = Counter()
    for each in (await dev.get("/api/v1/revenue", since="2020-01-01T00:00:00Z"))["data"]:
        for name in SUMS:
            expected[each["currency"], name] += each[name]
    assert told == expected
    assert told["USD", "gross"] == 4 * 1050
    assert told["USD", "net"] == 4 * 1050 - 1050 - 500 - 1000


async def test_a_day_that_gave_back_more_than_it_took_is_below_zero_in_the_file_and_on_the_page(dev: DevDaemon):
    today = datetime.fromtimestamp(NOW_S, UTC).date().isoformat()
    async with plain(dev.running) as found:
        [row] = [
            each
            for each in rows_of((await found.get("/revenue.csv")).text)
            if (each["day"], each["currency"]) == (today, "USD")
        ]
        sums = {"gross": "10.50", "refunded": "15.00", "net": "-4.50", "disputed": "8.00", "unreadable": "0"}
        assert row == {"day": today, "currency": "USD", "exponent": "2", **sums}
        assert f"{today} USD 10.50 15.00 -4.50 8.00 0" in (await found.get("/revenue")).words


async def test_each_currency_has_its_own_sums_and_its_own_picture(dev: DevDaemon):
    async with browser() as opened, tab(dev.running, opened) as found:
        page = found.page
        assert await found.go("/revenue") == 200
        await expect(page.locator(".tiles .name")).to_have_text(
            ["EUR net", "JPY net", "USD net", "XTQ smallest units net"]
        )
        await expect(page.locator(".tiles strong")).to_have_text(["10.50", "1,050", "-4.50", "1,050"])
        assert await page.locator("figure svg[role=img]").count() == 4
        assert "USD: net from" in (await page.locator("figure svg[role=img]").nth(2).get_attribute("aria-label") or "")
        await expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
        await page.get_by_role("link", name="90 days").click()
        await expect(page.locator(".tiles strong").nth(2)).to_have_text("6.00")
        assert "range=90d" in page.url
        await page.get_by_label("By", exact=True).select_option("provider")
        await page.get_by_label("Currency").fill("usd")
        await page.get_by_role("button", name="Look").click()
        await expect(page.locator("#revenue table").last.locator("tbody tr")).to_have_count(1)
        assert "range=90d" in page.url
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download as CSV").click()
        assert (await download.value).suggested_filename == "revenue-by-provider.csv"
        await Shop(dev, "live").intent("pi_live", at=NOW_S)
        await expect(page.locator(".tiles strong")).to_have_text(["16.50"], timeout=1_000 * PATIENCE_S)


async def test_what_is_shown_and_not_the_newest_is_looked_at_again_though_nothing_was_committed(dev: DevDaemon):
    async with browser() as opened, tab(dev.running, opened) as found:
        await found.go("/revenue")
        for mark in ("old", "again"):  # once a page is looked at again in any case
            await found.page.locator("#revenue").evaluate("(part, mark) => { part.dataset[mark] = ''; }", mark)
            await expect(found.page.locator(f"#revenue[data-{mark}]")).to_have_count(0, timeout=1_000 * PATIENCE_S)


async def test_a_time_in_which_nothing_was_earned_is_said(dev: DevDaemon):
    async with plain(dev.running) as found:
        seen = await found.get("/revenue?since=2021-01-01&until=2021-02-01")
        assert (seen.status, "Nothing was captured" in seen.words) == (200, True)
        assert rows_of((await found.get("/revenue.csv?since=2021-01-01&until=2021-02-01")).text) == []
        assert (await found.get("/revenue.csv?by=week")).status == 422


async def test_nobody_has_the_file_who_has_not_logged_in(dev: DevDaemon):
    async with plain(dev.running, token=None) as found:
        assert (await found.get("/revenue.csv")).status == 401


def earned(day: str, currency: str | None, exponent: int | None, gross: int, refunded: int = 0) -> Revenue:
    return Revenue(currency, exponent, gross, refunded, gross - refunded, 0, 0, day=day)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"], ids=repr)
async def test_no_text_in_the_file_is_taken_for_a_formula(begin: str):
    text = csv_text("day", [earned(f"{begin}1+1", f"{begin}cmd", None, -5)])
    _, (day, currency, exponent, gross, *_) = csv.reader(io.StringIO(text, newline=""))
    assert (day, currency, exponent, gross) == (f"'{begin}1+1", f"'{begin}cmd", "", "-5")


async def test_sums_are_of_one_currency_and_one_exponent_alone():
    rows = [
        earned("2026-01-01", "USD", 2, 10**20, 1),
        earned("2026-01-03", "USD", 2, 1),
        earned("2026-01-03", "USD", None, 7),
        earned("2026-01-03", None, None, 3),
    ]
    found = [(each.currency, each.exponent, each.gross, each.refunded, each.net) for each in totals(rows)]
    assert found == [
        ("USD", 2, 10**20 + 1, 1, 10**20),
        ("USD", None, 7, 0, 7),
        (None, None, 3, 0, 3),
    ]
    drawn = charts("day", rows, totals(rows))
    assert [each.title for each in drawn] == ["USD", "USD (smallest units)", "Currency not known (smallest units)"]
    assert drawn[0].rows == [
        ("2026-01-01", ["999,999,999,999,999,999.99", "0.01"]),
        ("2026-01-02", ["0.00", "0.00"]),
        ("2026-01-03", ["0.01", "0.00"]),
    ]


async def test_more_days_than_can_be_drawn_are_not_drawn():
    rows = [earned("1970-01-01", "USD", 2, 5), earned("2026-01-01", "USD", 2, 5)]
    assert charts("day", rows, totals(rows)) == []


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(4200, "USD", 2), "42.00 USD"),
        (Money(-5, "USD", 2), "-0.05 USD"),
        (Money(1050, "JPY", 0), "1,050 JPY"),
        (Money(1_234_567, "KWD", 3), "1,234.567 KWD"),
        (Money(2**63 - 1, "EUR", 2), "92,233,720,368,547,758.07 EUR"),
        (Money(1050, "XTQ", None), "1,050 XTQ (smallest units)"),
        (Money(None, "USD", 2), "not known USD"),
        (Money(None, None, None), "not known"),
        (Money(5, None, None), "5 (currency not known) (smallest units)"),
    ],
    ids=lambda given: given.replace(" ", "_") if isinstance(given, str) else "",
)
async def test_money_is_written_exactly_and_what_is_not_known_is_said(money: Money, text: str):
    assert money_text(money) == text


async def test_in_a_file_there_is_nothing_between_the_thousands():
    assert digits_text(-123456789, 2, thousands="") == "-1234567.89"

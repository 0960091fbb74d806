"""Payments in the browser: found, followed live, explained event by event; and all else that the ledger lists."""

import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.dashboard.browsing import PHONE, browser, tab
from tests.dashboard.plain import plain
from tests.dev_daemon import DevDaemon, dev_daemon
from tests.shop import CREATED, Shop
from webhookd.core.ledger import LISTS
from webhookd.sandbox.samples import sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "pi_<img src=x onerror=alert(1)>'\"/?#&%2F{{7*7}}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("payments")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


async def razorpay(dev: DevDaemon, event_type: str, payment: str, at: int, **settings: Any) -> str:
    body = sample("razorpay", event_type, at, Random(f"{event_type} {payment}"), {PAYMENT: payment, **settings})
    return await dev.send(body, "razorpay", f"msg_{event_type}_{payment}")


PAYMENT = "payload.payment.entity.id"


async def test_a_payment_is_followed_from_pending_to_partially_refunded_without_a_reload(
    dev: DevDaemon, opened: Browser
):
    shop = Shop(dev, "live")
    await shop.intent("pi_live", "processing", CREATED, metadata={"order_id": "order 7"})
    async with tab(dev.running, opened) as found:
        page = found.page
        assert await found.go("/payments/stripe/pi_live") == 200
        await page.evaluate("window.loaded_once = true")
        stands, history = page.locator("#stands"), page.locator("#history li")
        await expect(stands.locator(".badge")).to_have_text("pending")
        await expect(stands).to_contain_text("no: a customer who waits has no answer yet")
        await shop.intent("pi_live", "succeeded", CREATED + 1)
        await expect(stands.locator(".badge")).to_have_text("captured")
        await expect(stands).to_contain_text("yes: a customer who waits has an answer")
        await expect(stands.locator(".amount")).to_contain_text("10.50 USD")
        refund = await shop.refund("re_live", "pi_live", 250, CREATED + 2)
        await expect(stands.locator(".badge")).to_have_text("partially refunded")
        await expect(stands).to_contain_text("2.50 USD")
        await expect(history).to_have_count(3)
        await expect(history.nth(1)).to_contain_text("The payment was pending; captured is further on, so this stands.")
        await expect(history.nth(2)).to_contain_text("Then the payment was partially refunded 10.50 USD")
        await expect(history.nth(2).get_by_role("link")).to_have_attribute("href", f"/events/{refund}")
        await expect(history.nth(2)).to_contain_text("local delivered")
        await expect(page.locator("#belongings")).to_contain_text("re_live")
        assert await page.evaluate("window.loaded_once") is True


async def test_the_same_events_in_another_order_stand_alike_and_the_history_says_why(dev: DevDaemon, opened: Browser):
    at = int(time.time()) - 100
    said = [("payment.authorized", at), ("payment.captured", at + 1)]
    for payment, order in (("pay_in_order", said), ("pay_out_of_order", said[::-1])):
        for event_type, when in order:
            await razorpay(dev, event_type, payment, when)
    async with tab(dev.running, opened) as found:
        shown = []
        for payment in ("pay_in_order", "pay_out_of_order"):
            assert await found.go(f"/payments/razorpay/{payment}") == 200
            shown.append(await found.page.locator("#stands .amount").inner_text())
        assert shown[0] == shown[1]
        assert "2,499.00" in shown[0]
        assert "captured" in shown[0]
        first, late = await found.page.locator("#history li").all()
        await expect(first).to_contain_text("stands now")
        await expect(late).to_contain_text(
            "Nothing moved: the payment was captured already, and authorized is less far on."
        )
        await expect(late).to_contain_text("The payment was still captured")


async def test_what_belongs_to_a_payment_is_shown_with_a_state_of_its_own(dev: DevDaemon):
    shop = Shop(dev, "belongs")
    await shop.intent("pi_belongs", "succeeded")
    await shop.refund("re_belongs", "pi_belongs", 250, status="failed")
    dispute = {"id": "dp_belongs", "object": "dispute", "payment_intent": "pi_belongs", "amount": 800}
    await shop.says("charge.dispute.created", {**dispute, "currency": "usd", "status": "needs_response"})
    session = {"id": "cs_belongs", "object": "checkout.session", "payment_intent": "pi_belongs", "status": "complete"}
    await shop.says("checkout.session.completed", {**session, "payment_status": "paid"})
    async with plain(dev.running) as found:
        text = (await found.get("/payments/stripe/pi_belongs")).words
        belongings = text[text.index(" Refunds ", text.index("What was said of it")) :]
        for each in ("re_belongs failed", "dp_belongs action required needs_response 8.00 USD", "cs_belongs paid"):
            assert each in belongings
        assert "dp_belongs" in (await found.get("/ledger/disputes?payment=pi_belongs")).words
        assert "dp_belongs" in (await found.get("/ledger/disputes?reference=dp_belongs")).words
        assert "dp_belongs" not in (await found.get("/ledger/disputes?payment=pi_live")).words


async def test_a_search_goes_straight_to_the_one_payment_that_is_found(dev: DevDaemon, opened: Browser):
    shop = Shop(dev, "search")
    await shop.intent("pi_one", metadata={"order_id": "order only"})
    for payment in ("pi_two", "pi_three"):
        await shop.intent(payment, metadata={"order_id": "order twice"})
    async with tab(dev.running, opened) as found:
        page = found.page
        for looked_for in ("order only", " pi_one "):
            await found.go("/payments")
            await page.get_by_label("Id or reference").fill(looked_for)
            await page.get_by_role("button", name="Look").click()
            await page.wait_for_url(f"{found.url}/payments/stripe/pi_one")
        await found.go("/payments")
        await page.get_by_label("Id or reference").fill("order twice")
        await page.get_by_role("button", name="Look").click()
        await expect(page.locator("#payments tbody tr")).to_have_count(2)
        assert "reference=order+twice" in page.url
        await page.get_by_label("Status").select_option("failed")
        await page.get_by_role("button", name="Look").click()
        await expect(page.locator("#payments tbody")).to_contain_text("No payment is like this.")
        await expect(page.get_by_label("Id or reference")).to_have_value("order twice")


async def test_a_list_is_narrowed_by_its_url_and_goes_on_where_it_ended(dev: DevDaemon):
    shop = Shop(dev, "paged")
    for number in range(5):
        await shop.intent(f"pi_paged_{number}", metadata={"order_id": "paged"})
    async with plain(dev.running) as found:
        first = await found.get("/payments?reference=paged&limit=3&since=2020-01-01")
        assert first.status == 200
        assert [f"pi_paged_{number}" in first.words for number in range(5)] == [False, False, True, True, True]
        cleaned = await found.get("/payments?reference=paged&status=&limit=3")
        assert (cleaned.status, cleaned.headers["Location"]) == (303, "/payments?reference=paged&limit=3")
        link = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        second = await found.get(link)
        assert [f"pi_paged_{number}" in second.words for number in range(5)] == [True, True, False, False, False]
        assert "No payment is like this" in (await found.get("/payments?reference=paged&until=2020-01-01")).words
        assert "No payment is like this" in (await found.get("/payments?reference=paged&provider=paypal")).words


async def test_names_that_are_full_of_script_are_text_and_lead_where_they_should(dev: DevDaemon, opened: Browser):
    shop = Shop(dev, "hostile")
    reference = "<script>alert(2)</script>{{7*7}}"
    await shop.intent(HOSTILE, metadata={"order_id": reference})
    await shop.refund("re_</td><svg onload=alert(3)>", HOSTILE)
    async with tab(dev.running, opened) as found:
        page = found.page
        page.on("dialog", lambda dialog: found.complaints.append(f"a script ran: {dialog.message}"))
        await found.go("/payments")
        await page.locator(f"a[title={quoted(HOSTILE)}]").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"Payment {HOSTILE}")
        await expect(page.locator("#stands")).to_contain_text(reference)
        await expect(page.locator("#belongings")).to_contain_text("re_</td><svg onload=alert(3)>")
        assert page.url == f"{found.url}/payments/stripe/{quote(HOSTILE, safe='')}"
        await found.go("/ledger/refunds")
        await expect(page.locator("#objects")).to_contain_text("re_</td><svg onload=alert(3)>")
        assert await found.go(f"/payments/stripe/{quote('<script>alert(4)</script>', safe='')}") == 404
        await expect(page.locator(".problem")).to_contain_text("<script>alert(4)</script>")


def quoted(text: str) -> str:
    """As a text in a CSS selector."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize(
    ("path", "told", "kept"),
    [
        ("/payments?status=absurd&reference=kept", "must be one of authorized, cancelled", 'value="kept"'),
        ("/payments?since=yesterday", "RFC 3339", 'value="yesterday"'),
        ("/payments?until=2026-02-30", "RFC 3339", 'value="2026-02-30"'),
        ("/payments?provider=nobody", "must be one of flutterwave", "Payments"),
        ("/payments?cursor=made-up", "is not one that this list has given", "Payments"),
        ("/payments?colour=green", "is not known", "Payments"),
        ("/payments?status=failed&status=captured", "is given more than once", "Payments"),
        (f"/payments?reference={'x' * 300}", "of 1 to 255 characters", "x" * 300),
        ("/payments?limit=99999", "from 1 to 500", "Payments"),
        ("/ledger/refunds?status=captured", "must be one of", "Refunds"),
        ("/ledger/refunds?payment=%00&since=%3Cb%3E", "RFC 3339", "&lt;b&gt;"),
        ("/revenue?range=1y", "must be one of 7d, 30d, 90d, month", "Revenue"),
        ("/revenue?by=week&currency=eur", "must be one of day, month, provider", 'value="eur"'),
        ("/revenue?since=2026-02-01&until=2026-01-01", "must not be after until", 'value="2026-02-01"'),
        ("/revenue?currency=euro", "must be three letters", 'value="euro"'),
    ],
    ids=lambda given: given[:40].replace("/", "_") if given.startswith("/") else "",
)
async def test_filters_that_make_no_sense_are_told_with_the_form_as_it_was_filled_in(
    dev: DevDaemon, path: str, told: str, kept: str
):
    async with plain(dev.running) as found:
        seen = await found.get(path)
        assert seen.status == 422
        assert told in seen.words
        assert kept in seen.text
        assert "<b>" not in seen.text


async def test_a_payment_that_nobody_spoke_of_is_404_and_told_where_to_look(dev: DevDaemon):
    await Shop(dev, "elsewhere").intent("pi_elsewhere", metadata={"order_id": "order elsewhere"})
    async with plain(dev.running) as found:
        seen = await found.get("/payments/stripe/pi_nobody")
        assert seen.status == 404
        assert "Of the payment pi_nobody at stripe nobody has spoken here" in seen.words
        assert 'href="/refused"' in seen.text
        assert 'href="/events?q=pi_nobody"' in seen.text
        other = await found.get("/payments/paypal/pi_elsewhere")
        assert other.status == 404
        assert 'href="/payments/stripe/pi_elsewhere"' in other.text
        by_reference = await found.get("/payments/stripe/order%20elsewhere")
        assert (by_reference.status, 'href="/payments/stripe/pi_elsewhere"' in by_reference.text) == (404, True)
        assert "no provider nobody" in (await found.get("/payments/nobody/pi_1")).words
        for path in ("/payments/nobody/pi_1", f"/payments/stripe/{'x' * 300}", "/payments/stripe/%00", "/ledger/loans"):
            assert (await found.get(path)).status == 404, path


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_of_the_ledger_has_a_page_and_a_tab(dev: DevDaemon, name: str):
    async with plain(dev.running) as found:
        seen = await found.get(f"/ledger/{name}")
        assert seen.status == 200
        assert seen.heading == name.replace("-", " ").capitalize()
        assert f'href="/ledger/{name}" aria-current="page"' in seen.text
        assert 'href="/payments" aria-current="page"' in seen.text  # of the frame


async def test_what_is_not_known_of_money_is_said_and_not_guessed(dev: DevDaemon):
    shop = Shop(dev, "odd")
    await shop.intent("pi_odd", currency="xtq")
    await shop.intent("pi_yen", currency="jpy", amount=1050, amount_received=1050)
    await shop.refund("re_before", "pi_unheard", 250)
    async with plain(dev.running) as found:
        assert "1,050 XTQ smallest units" in (await found.get("/payments/stripe/pi_odd")).words
        assert "1,050 JPY captured" in (await found.get("/payments/stripe/pi_yen")).words
        assert "not known pending" in (await found.get("/payments/stripe/pi_unheard")).words


@pytest.mark.parametrize("context", [{"viewport": PHONE}, {"color_scheme": "dark"}], ids=["phone", "dark"])
async def test_the_pages_fit_a_phone_and_the_dark(dev: DevDaemon, opened: Browser, context: dict[str, Any]):
    shop = Shop(dev, f"fits_{len(context)}_{next(iter(context))}")
    await shop.intent("pi_fits", metadata={"order_id": "a reference that is rather long " * 4})
    await shop.refund("re_fits", "pi_fits")
    async with tab(dev.running, opened, **context) as found:
        for path in ("/payments", "/payments/stripe/pi_fits", "/ledger/refunds", "/revenue?since=2025-01-01&by=month"):
            assert await found.go(path) == 200
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await found.page.evaluate(wider) == 0, path
        ground = await found.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (ground == "rgb(16, 21, 28)") == ("color_scheme" in context)

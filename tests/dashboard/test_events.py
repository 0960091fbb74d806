"""The pages of events and deliveries: found, opened, replayed, cancelled, kept up to date, and safe to look at."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yarl
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_headers
from tests.daemon.test_retention import Shop, awake, fill, merchant_that
from tests.dashboard.browsing import PHONE, browser, tab
from tests.dashboard.plain import Plain, Seen, plain
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from webhookd.core.identifier import delivery_id, event_id, replay_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_MS = PATIENCE_S * 1_000
THREE_NEWS = """new Promise((done) => {
  let heard = 0;
  const source = new EventSource("/live");
  source.onmessage = () => { if (++heard === 3) { source.close(); done(); } };
})"""
CARD, ACCOUNT, CVC = "4242424242424242", "000123456789", "737"
ONE_ATTEMPT = 'schedule = ["0s"]'
NO_EVENT, NO_DELIVERY = event_id(5, 5), delivery_id(5, 5)


def payment(number: int | str, event_type: str = "payment_intent.succeeded", **more: Any) -> bytes:
    subject = {"id": f"pi_{number}", "object": "payment_intent", "status": "succeeded", "amount": 1050}
    subject |= {"amount_received": 1050, "currency": "usd", **more}
    event = {"id": f"evt_{number}", "object": "event", "type": event_type, "created": 1_763_683_200}
    return json.dumps({**event, "data": {"object": subject}}).encode()


async def happen(running: RunningDaemon, body: bytes) -> str:
    """The id of the event that the provider's hook became."""
    status, answer = await post(running, "stripe", body, stripe_headers(body))
    assert status == 200, answer
    return str(answer["event_id"])


class World:
    def __init__(self, running: RunningDaemon, shop: Merchant, operator: Desk, person: Plain) -> None:
        self.running, self.shop, self.operator, self.person = running, shop, operator, person

    async def open(self, path: str) -> tuple[int, str]:
        """The status and the page, or where it leads to."""
        return _told(await self.person.get(path))

    async def send(self, path: str, **fields: str) -> tuple[int, str]:
        return _told(await self.person.send(path, **fields))

    async def stand(self, event: str, state: str) -> dict[str, Any]:
        """The one delivery of the event, once it stands so: asked for again and again, for nothing announces it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for delivery in (await self.operator.get(f"/events/{event}"))["deliveries"]:
                    if delivery["state"] == state:
                        return dict(delivery)


def _told(seen: Seen) -> tuple[int, str]:
    return seen.status, seen.headers.get("Location") or seen.text


@asynccontextmanager
async def world(directory: Path, more: str = "", **settings: Any) -> AsyncIterator[World]:
    async with merchant() as shop:
        config = configuration(endpoints=endpoint("shop", shop.port, **settings), delivery=ONE_ATTEMPT) + more
        async with (
            daemon(directory, config) as running,
            desk(running) as operator,
            plain(running) as person,
        ):
            yield World(running, shop, operator, person)


@pytest_asyncio.fixture(loop_scope="module")
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


async def overflow(page: Page) -> int:
    """How far the page is to be scrolled sideways."""
    return int(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


# --- In a browser


async def test_a_dead_delivery_is_found_opened_replayed_and_seen_to_be_delivered(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        found.shop.answer, found.shop.text = lambda _got: 500, b"<b>out of order</b>"
        dead = await happen(found.running, payment(1))
        await happen(found.running, payment(2, "charge.refunded"))
        await found.stand(dead, "dead")
        found.shop.answer = lambda _got: 200
        async with tab(found.running, opened) as person:
            page = person.page
            await page.get_by_role("link", name="Events", exact=True).click()
            await page.get_by_label("Type").fill("payment_*")
            await page.get_by_role("button", name="Show").click()
            await expect(page.locator("#log tbody tr")).to_have_count(1)
            assert page.url == f"{person.url}/events?type=payment_%2A"
            await expect(page.locator("#log")).to_contain_text("1 dead")
            await page.get_by_role("link", name="payment_intent.succeeded").click()
            await expect(page.locator("#story")).to_contain_text("shop was given up on: answered 500")
            await expect(page.locator("#deliveries")).to_contain_text("<b>out of order</b>")
            await page.evaluate("window.stays = true")
            async with page.expect_navigation():
                await page.get_by_role("button", name="Replay", exact=True).click()
            await expect(page.get_by_role("status").first).to_contain_text("sent to shop again")
            await page.evaluate("window.stays = true")
            await expect(page.locator("article .badge").first).to_have_text("delivered", timeout=PATIENCE_MS)
            await expect(page.locator("#story")).to_contain_text("Delivered to shop", timeout=PATIENCE_MS)
            await expect(page.locator("article tbody tr")).to_have_count(2)
            await expect(page.locator("article tbody tr").first).to_contain_text("replay")
            assert await page.evaluate("window.stays")


async def test_what_is_pending_is_counted_down_and_cancelled(opened: Browser, tmp_path: Path):
    async with world(tmp_path, schedule=["1h"]) as found:
        event = await happen(found.running, payment(1))
        async with tab(found.running, opened) as person:
            page = person.page
            await person.go(f"/events/{event}")
            await expect(page.locator("#deliveries time[data-until]")).to_contain_text("in ")
            page.on("dialog", lambda dialog: dialog.accept())
            await page.get_by_role("button", name="Cancel").click()
            await expect(page.locator("article .badge").first).to_have_text("cancelled")
            await expect(page.get_by_role("status").first).to_contain_text("no longer owed to shop")
        assert (await found.stand(event, "cancelled"))["attempts"] == 0


async def test_new_events_appear_on_top_but_disturb_nobody(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        for number in range(12):
            await happen(found.running, payment(number))
        async with tab(found.running, opened, viewport={"width": 1280, "height": 400}) as person:
            page = person.page
            await person.go("/events")
            await page.evaluate("window.stays = true")
            rows, word = page.locator("#log tbody tr"), page.locator("[data-tail-of=log]")
            await expect(rows).to_have_count(12)
            newest = await happen(found.running, payment("newest"))
            await expect(rows).to_have_count(13, timeout=PATIENCE_MS)
            await expect(rows.first).to_have_id(newest)
            await expect(word).to_have_text("live")
            for held, free in (
                ('document.querySelector("#by-type").focus()', "document.activeElement.blur()"),
                ("scrollTo(0, 1e6)", "scrollTo(0, 0)"),
                ('getSelection().selectAllChildren(document.querySelector("#log td"))', "getSelection().empty()"),
            ):
                before = await rows.count()
                await page.evaluate(held)
                await expect(word).to_have_text("paused")
                await happen(found.running, payment(f"held-{before}"))
                await page.evaluate(THREE_NEWS)
                await expect(rows).to_have_count(before)
                await page.evaluate(free)
                await expect(word).to_have_text("live")
                await expect(rows).to_have_count(before + 1, timeout=PATIENCE_MS)
            assert await page.evaluate("window.stays")


async def test_a_key_goes_to_the_field_that_finds_any_id(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        event = await happen(found.running, payment(1))
        async with tab(found.running, opened) as person:
            await person.page.keyboard.press("/")
            await person.page.keyboard.type(event)
            await person.page.keyboard.press("Enter")
            await expect(person.page.get_by_role("heading", level=1)).to_have_text("payment_intent.succeeded")


async def test_no_page_is_wider_than_a_phone(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        found.shop.answer, found.shop.text = lambda _got: 500, b"x" * 3_000
        event = await happen(found.running, payment("x" * 200, "t" * 200, description="y" * 5_000))
        await found.stand(event, "dead")
        async with tab(found.running, opened, viewport=PHONE) as person:
            for path in ("/events", f"/events/{event}", f"/events/{event}?view=raw", "/deliveries", "/find?q=nothing"):
                await person.go(path)
                assert await overflow(person.page) == 0, path


# --- What a page holds


async def test_no_page_holds_a_number_that_is_masked(tmp_path: Path):
    async with world(tmp_path) as found:
        found.shop.answer = lambda _got: 500
        found.shop.text = json.dumps({"you sent": CARD, "account_number": ACCOUNT, "cvc": CVC}).encode()
        card = {"number": CARD, "cvc": CVC}
        event = await happen(found.running, payment(1, card=card, account_number=ACCOUNT))
        await found.stand(event, "dead")
        for path in (f"/events/{event}", f"/events/{event}?view=raw", "/events", "/deliveries"):
            status, page = await found.open(path)
            assert status == 200
            assert [each for each in (CARD, ACCOUNT, f'"{CVC}"', f"&#34;{CVC}") if each in page] == [], path
        assert "••••4242" in (await found.open(f"/events/{event}"))[1]
        status, body = await found.open(f"/events/{event}/body")
        assert status == 200
        assert CARD in body


async def test_the_bytes_are_downloaded_as_they_came_and_never_as_a_page(shared: World):
    body = payment("bytes", note="<script>")
    event = await happen(shared.running, body)
    async with shared.person.session.get(f"{shared.running.admin}/events/{event}/body") as response:
        assert await response.read() == body
        assert response.content_type == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["Content-Security-Policy"] == "sandbox"


async def test_the_command_of_the_page_sends_the_event_in_again(shared: World):
    event = await happen(shared.running, payment("command", note="it's $HOME"))
    query = f"to={shared.running.hooks}/webhooks/stripe"
    _, page = await shared.open(f"/events/{event}?{query}")
    shown = re.search(r'<pre id="command"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert shown is not None
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-euc", html.unescape(shown[1])), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await shell.communicate()
    assert json.loads(output) == {"event_id": event, "status": "duplicate"}
    assert "verifies until" in page


@pytest.mark.parametrize("to", ["file:///etc/passwd", "-o/tmp/x", "x" * 3_000])
async def test_a_command_to_what_is_no_url_is_refused_and_the_page_stays(shared: World, to: str):
    event = await happen(shared.running, payment(f"to_{len(to)}"))
    status, page = await shared.open(f"/events/{event}?to={to}")
    assert status == 422
    assert "must " in page
    assert "Facts" in page
    assert 'id="command"' not in page


async def test_a_body_of_a_mebibyte_is_shown_as_far_as_a_person_reads(shared: World):
    nested = "[" * 200_000 + "]" * 200_000
    body = payment("large")[:-1] + b',"deep":' + nested.encode() + b',"long":"' + b"y" * 500_000 + b'"}'
    event = await happen(shared.running, body)
    status, page = await shared.open(f"/events/{event}")
    assert status == 200
    assert "That was the beginning of" in page
    assert len(page) < 200_000


async def test_a_body_that_is_no_longer_kept_is_said_to_be_so(tmp_path: Path):
    async def take(_request: web.Request) -> web.StreamResponse:
        return web.Response()

    async with merchant_that(take) as port:
        event, *_ = await fill(tmp_path, Shop(port))
        async with awake(tmp_path, Shop(port), events="9d", bodies="1d") as (running, _, _), plain(running) as person:
            seen = await person.get(f"/events/{event}")
            assert seen.status == 200
            assert "The body is no longer kept (retention.bodies)" in seen.words
            assert 'id="command"' not in seen.text
            assert "Replay" not in seen.words
            assert (await person.get(f"/events/{event}/body")).status == 410


async def test_an_event_that_is_past_says_when_it_was_taken(tmp_path: Path):
    async with world(tmp_path) as found:
        event = await happen(found.running, payment(1))
        await found.stand(event, "delivered")
        assert (await found.operator.ask("POST", "/cleanup", {"days": 0})).status == 202
        async with asyncio.timeout(PATIENCE_S):
            while (answer := await found.open(f"/events/{event}"))[0] == 200:
                pass
        assert answer[0] == 410
        assert "taken out of the log by retention at 20" in answer[1]


# --- What is asked for


@pytest.mark.parametrize("path", ["/events", "/deliveries"])
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("type=%25", "type"),
        ("since=yesterday&type=charge.*", "since"),
        ("state=lost", "state"),
        ("cursor=AAAA", "cursor"),
        ("colour=red", "colour"),
        ("source=a&source=b", "source"),
        ("q=" + "x" * 300, "q"),
        ("until=9999999-01-01T00:00:00Z", "until"),
        ("limit=0", "limit"),
    ],
    ids=lambda each: each[:12],
)
async def test_filters_that_mean_nothing_leave_the_form_filled_in_and_say_why(
    shared: World, path: str, query: str, named: str
):
    status, page = await shared.open(f"{path}?{query}")
    assert status == 422
    assert f"<code>{named}</code>" in page
    if "charge" in query:
        assert 'value="charge.*"' in page
        assert 'value="yesterday"' in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/events/{NO_EVENT}", 404),
        ("/events/evt_1", 404),
        ("/events/%2e%2e", 404),
        (f"/events/{NO_EVENT}/body", 404),
        (f"/deliveries/{NO_DELIVERY}", 404),
        ("/deliveries/dlv_x", 404),
        ("/find?q=nothing", 404),
        (f"/find?q={NO_EVENT}", 404),
        (f"/find?q={NO_DELIVERY}", 404),
        (f"/find?q={replay_id(7)}", 404),
        ("/find?q=" + "x" * 300, 422),
        ("/find", 200),
        ("/find?q=%20", 200),
        (f"/events?q={NO_EVENT}", 200),
        ("/deliveries?endpoint=nobody", 422),
        ("/events?source=&type=", 303),
    ],
)
async def test_what_is_not_there_is_answered_as_what_it_is(shared: World, path: str, status: int):
    assert (await shared.open(path))[0] == status


@pytest.mark.parametrize("path", [f"/events/{NO_EVENT}/replay", f"/deliveries/{NO_DELIVERY}/cancel"])
async def test_nothing_is_done_to_what_is_not_there(shared: World, path: str):
    assert (await shared.send(path))[0] in (404, 422)


async def test_any_id_at_hand_leads_to_its_page(shared: World):
    event = await happen(shared.running, payment("mine", metadata={"order_id": "order-9"}))
    delivery = await shared.stand(event, "delivered")
    replay = (await shared.operator.ask("POST", "/replays", {"ids": [event]})).json
    for text, place in (
        (event, f"/events/{event}"),
        (f"  {event} ", f"/events/{event}"),
        ("evt_mine", f"/events/{event}"),
        ("pi_mine", "/payments/stripe/pi_mine"),
        ("order-9", "/payments/stripe/pi_mine"),
        (delivery["id"], f"/deliveries/{delivery['id']}"),
        (replay["id"], f"/replays/{replay['id']}"),
    ):
        assert await shared.open(str(yarl.URL("/find").with_query(q=text))) == (303, place), text
    assert await shared.open(f"/deliveries/{delivery['id']}") == (303, f"/events/{event}#{delivery['id']}")


async def test_pages_of_a_list_follow_each_other_with_their_filters(shared: World):
    for number in range(3):
        await happen(shared.running, payment(f"p{number}", "paged.type"))
    seen: list[str] = []
    path = "/events?type=paged.*&limit=2"
    while True:
        status, page = await shared.open(path)
        assert status == 200
        seen += re.findall(r'<tr id="(evt_\w+)"', page)
        more = re.search(r'rel="next" href="([^"]+)"', page)
        if more is None:
            break
        path = html.unescape(more[1])
    assert len(seen) == len({*seen}) == 3
    assert "data-tail" not in page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("shared")) as found:
        yield found


# --- Who may


async def test_who_may_only_read_sees_no_button_and_can_do_nothing(tmp_path: Path):
    async with world(tmp_path, schedule=["1h"]) as found:
        event = await happen(found.running, payment(1))
        delivery = await found.stand(event, "pending")
        token = (await found.operator.done("POST", "/tokens", {"name": "reader", "scope": "read"}))["token"]
        mine = f"/events/{event}/replay", f"/deliveries/{delivery['id']}/cancel", f"/deliveries/{delivery['id']}/replay"
        _, page = await found.open(f"/events/{event}")
        assert [path for path in mine if f'action="{path}"' not in page] == []
        await found.person.log_in(token)
        status, page = await found.open(f"/events/{event}")
        assert status == 200
        assert [path for path in mine if path in page] == []
        for path in mine:
            assert (await found.send(path))[0] == 403
        assert (await found.stand(event, "pending"))["attempts"] == 0


async def test_what_is_over_already_cannot_be_cancelled(shared: World):
    event = await happen(shared.running, payment("over"))
    delivery = await shared.stand(event, "delivered")
    status, page = await shared.send(f"/deliveries/{delivery['id']}/cancel")
    assert status == 409
    assert "It is delivered already" in page


async def test_what_nobody_asked_for_is_handed_to_an_endpoint(tmp_path: Path):
    async with world(tmp_path, events=["nothing.*"]) as found:
        event = await happen(found.running, payment(1))
        _, page = await found.open(f"/events/{event}")
        assert "owed to nobody" in page
        assert "<option>shop</option>" in page
        status, place = await found.send(f"/events/{event}/replay", endpoint="shop")
        assert status == 303
        assert place.startswith(f"/events/{event}?replay=rpl_")
        await found.stand(event, "delivered")
        _, page = await found.open(place.partition("#")[0])
        assert "1 of 1 made due, done" in page


async def test_an_event_that_very_many_ask_for_shows_what_needs_somebody_and_leads_to_the_rest(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda got: 500 if got.path == "/shop-101" else 200
        endpoints = "".join(endpoint(f"shop-{number}", shop.port, schedule=["0s"]) for number in range(102))
        async with daemon(tmp_path, configuration(endpoints=endpoints)) as running, plain(running) as person:
            event = await happen(running, payment(1))
            await shop.has(102)
            async with asyncio.timeout(PATIENCE_S):
                while "1 dead" not in (await person.get("/events")).words:
                    pass
            seen = await person.get(f"/events/{event}")
            assert (
                re.findall('<article class="card owed".*?href="/endpoints/([^"]*)"', seen.text, re.DOTALL)[0]
                == "shop-101"
            )
            assert seen.text.count('<article class="card owed"') == 100
            assert "Send it again to all 102 endpoints?" in seen.text
            assert "2 more are not shown here" in seen.words
            listed = await person.get(f"/deliveries?q={event}")
            assert (listed.status, event in listed.text) == (200, True)

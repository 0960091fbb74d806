"""Dead letters and replays: found by their reason, counted, sent again, and watched until they have arrived."""

import asyncio
import html
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Got, Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_headers
from tests.dashboard.browsing import PHONE, browser, tab
from tests.dashboard.plain import Plain, plain
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from webhookd.core.identifier import delivery_id, replay_id
from webhookd.store.protocol.replays import RUNNING_MAX

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_MS = PATIENCE_S * 1_000
HOSTILE = "<script>document.title = 'hacked'</script><img src=x onerror=alert(1)>"
NOBODY, NO_REPLAY = delivery_id(5, 5), replay_id(2**40)


@pytest_asyncio.fixture(loop_scope="module")
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


def payment(name: str, event_type: str = "charge.failed") -> bytes:
    subject = {"id": f"ch_{name}", "object": "charge", "status": "failed", "amount": 1050, "currency": "usd"}
    event = {"id": f"evt_{name}", "object": "event", "type": event_type, "created": 1_763_683_200}
    return json.dumps({**event, "data": {"object": subject}}).encode()


class World:
    """A daemon that tries once, its operator, and a merchant who is broken until somebody mends him."""

    def __init__(self, running: RunningDaemon, shop: Merchant, operator: Desk) -> None:
        self.running, self.shop, self.operator = running, shop, operator
        shop.text = HOSTILE.encode()

    def answers(self, **statuses: int) -> None:
        """By the name of the event, which is in its body; all others are taken."""
        self.shop.answer = lambda got: next((each for name, each in statuses.items() if _names(got, name)), 200)

    async def die(self, *names: str) -> list[str]:
        """The ids of the deliveries that came of these events, once they are dead."""
        for name in names:
            body = payment(name)
            assert (await post(self.running, "stripe", body, stripe_headers(body)))[0] == 200
            await self.operator.done("POST", "/endpoints/shop/resume")  # closes the breaker, should it be open
        return [(await self.stand(name, "dead"))["id"] for name in names]

    async def stand(self, name: str, state: str) -> dict[str, Any]:
        """The delivery of this event, once it stands so: asked for again and again, for nothing announces it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for each in (await self.operator.get("/deliveries", q=f"evt_{name}"))["data"]:
                    if each["state"] == state:
                        return dict(each)

    async def states(self) -> Counter[str]:
        return Counter(each["state"] for each in (await self.operator.get("/deliveries", limit="500"))["data"])


def _names(got: Got, name: str) -> bool:
    return f'"evt_{name}"'.encode() in got.body


@asynccontextmanager
async def world(directory: Path, **settings: Any) -> AsyncIterator[World]:
    async with merchant() as shop:
        config = configuration(endpoints=endpoint("shop", shop.port, **settings), delivery='schedule = ["0s"]')
        async with daemon(directory, config) as running, desk(running) as operator:
            yield World(running, shop, operator)


async def overflow(page: Page) -> int:
    """How far the page is to be scrolled sideways."""
    return int(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


# --- In a browser


async def test_a_reason_is_opened_counted_replayed_and_watched_until_all_have_arrived(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        found.answers(a=500, b=500, c=500, wrong=401)
        await found.die("a", "b", "c", "wrong")
        async with tab(found.running, opened) as person, tab(found.running, opened) as other:
            page = person.page
            await page.get_by_role("link", name="Dead letters").click()
            shop = page.get_by_role("region", name="To shop")
            await expect(shop).to_contain_text("4 dead")
            in_the_menu = page.get_by_role("navigation", name="Pages").locator("[data-number=dead]")
            await expect(in_the_menu).to_have_text("4", timeout=PATIENCE_MS)
            await expect(shop.locator("tr", has_text="answered 500")).to_contain_text("3")
            await expect(shop.locator("tr", has_text="answered 401")).to_contain_text("secret")
            await shop.get_by_role("link", name="answered 500").click()
            await expect(page.locator("pre")).to_have_text(HOSTILE)
            await expect(page.locator("#letters tbody tr")).to_have_count(3)
            await other.go("/dead?endpoint=shop&error=status&status=500")

            await page.get_by_role("radio", name="all 3 of them").check()
            await page.get_by_label("At most so many a second").fill("4")
            await page.get_by_role("button", name="Dry run").click()
            await expect(page.locator("#said")).to_have_text("A replay would make 3 deliveries due: 3 to shop.")
            await expect(page.get_by_label("At most so many a second")).to_have_value("4")
            assert await found.states() == {"dead": 4}

            found.answers(wrong=401)
            await page.get_by_role("button", name="Replay").click()
            await expect(page.locator("#replay")).to_contain_text("dead deliveries to shop, given up: answered 500")
            await page.evaluate("window.stays = true")
            await expect(page.locator("#replay .badge").first).to_have_text("done", timeout=PATIENCE_MS)
            await expect(page.locator("#replay")).to_contain_text("3 of 3")
            await expect(page.locator("#replay .tile", has_text="Dead")).to_contain_text("1", timeout=PATIENCE_MS)
            await expect(in_the_menu).to_have_text("1", timeout=PATIENCE_MS)
            assert await page.evaluate("window.stays")
            await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
            await expect(other.page.locator("#letters")).to_contain_text("Nothing is dead", timeout=PATIENCE_MS)
        for name in ("a", "b", "c"):
            assert (await found.stand(name, "delivered"))["attempts"] == 2
        assert (await found.stand("wrong", "dead"))["attempts"] == 1
        [replay] = (await found.operator.get("/replays"))["data"]
        assert (replay["rate"], replay["replayed"]) == (4.0, 3)


async def test_only_those_ticked_are_sent_again_and_each_turns_delivered_without_a_reload(
    opened: Browser, tmp_path: Path
):
    async with world(tmp_path) as found:
        found.answers(a=500, b=500, c=500, late=500)
        ids = await found.die("a", "b", "c")
        async with tab(found.running, opened) as person:
            page = person.page
            await person.go("/dead?endpoint=shop&error=status&status=500")
            everything = page.get_by_label("Tick all on this page")
            await everything.check()
            for each in ids:
                await expect(page.get_by_label(f"Tick {each}")).to_be_checked()
            await everything.uncheck()
            for each in ids[:2]:
                await page.get_by_label(f"Tick {each}").check()
            await page.get_by_role("heading", name="shop").click()  # so that the list has not the focus any more
            await found.die("late")
            await expect(page.locator("#letters tbody tr")).to_have_count(4, timeout=PATIENCE_MS)
            await expect(page.get_by_role("radio", name="those ticked")).to_be_checked()
            found.answers()
            await page.get_by_role("button", name="Dry run").click()
            await expect(page.locator("#said")).to_have_text("A replay would make 2 deliveries due: 2 to shop.")
            await page.get_by_role("button", name="Replay").click()
            await expect(page.locator("#replay")).to_contain_text("what 2 ids name")
            await page.evaluate("window.stays = true")
            badges = page.locator("#replay tbody .badge")
            await expect(badges).to_have_text(["delivered", "delivered"], timeout=PATIENCE_MS)
            assert await page.evaluate("window.stays")
        assert await found.states() == {"delivered": 2, "dead": 2}
        assert {(await found.stand(name, "delivered"))["id"] for name in ("a", "b")} == {*ids[:2]}


async def test_a_replay_is_cancelled_and_what_it_has_not_reached_stays_dead(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        found.answers(a=500, b=500, c=500)
        await found.die("a", "b", "c")
        found.answers()
        async with tab(found.running, opened) as person:
            page = person.page
            await person.go("/dead?endpoint=shop&error=status")
            await page.get_by_role("radio", name="all").check()
            await page.get_by_label("At most so many a second").fill("0.01")
            await page.get_by_role("button", name="Replay").click()
            await expect(page.locator("#replay")).to_contain_text("1 of 3", timeout=PATIENCE_MS)
            await page.get_by_role("button", name="Cancel").click()
            await expect(page.get_by_role("status").first).to_contain_text("what it made due stays so")
            await expect(page.locator("#replay .badge").first).to_have_text("cancelled")
            await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
            await page.get_by_role("link", name="Replays").click()
            await expect(page.locator("#replays tbody tr")).to_contain_text("cancelled")
        await found.stand("a", "delivered")
        assert await found.states() == {"delivered": 1, "dead": 2}


async def test_after_kill_nine_a_replay_goes_on_and_so_does_the_page_that_watches_it(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        names = ["a", "b", "c", "d"]
        found.answers(a=500, b=500, c=500, d=500)
        await found.die(*names)
        found.answers()
        # It comes back where it was.
        file, listen = tmp_path / "webhookd.toml", f'admin_listen = "{found.running.admin.removeprefix("http://")}"'
        file.write_text(file.read_text().replace('admin_listen = "127.0.0.1:0"', listen))
        async with tab(found.running, opened) as person:
            page = person.page
            await person.go("/dead?endpoint=shop&error=status&status=500")
            await page.get_by_role("radio", name="all 4 of them").check()
            await page.get_by_label("At most so many a second").fill("0.5")
            await page.get_by_role("button", name="Replay").click()
            await expect(page.locator("#replay")).to_contain_text(re.compile("[123] of 4"), timeout=PATIENCE_MS)
            await page.evaluate("window.stays = true")
            await found.running.kill()
            await expect(page.get_by_text("the daemon does not answer")).to_be_visible(timeout=PATIENCE_MS)
            await found.running.start()
            await expect(page.locator("#replay .badge").first).to_have_text("done", timeout=PATIENCE_MS)
            await expect(page.locator("#replay")).to_contain_text("4 of 4")
            assert await page.evaluate("window.stays")
        for name in names:
            await found.stand(name, "delivered")
        assert sorted(got.headers.get("webhookd-replay", "") for got in found.shop.got).count("true") >= len(names)


async def test_a_backfill_is_counted_before_it_begins_and_again_when_it_was_changed(opened: Browser, tmp_path: Path):
    async with world(tmp_path) as found:
        found.answers(a=500)
        await found.die("a")
        for name in ("b", "c"):
            body = payment(name, "charge.captured")
            await post(found.running, "stripe", body, stripe_headers(body))
            await found.stand(name, "delivered")
        found.answers()
        async with tab(found.running, opened) as person:
            page = person.page
            await person.go("/dead")
            await page.get_by_role("link", name="Backfill").click()
            begin = page.get_by_role("button", name="Replay")
            await expect(begin).to_have_count(0)
            await page.get_by_label("Endpoint").fill("shop")
            await page.get_by_label("Type").fill("charge.captured")
            await page.get_by_role("button", name="Dry run").click()
            await expect(page.locator("#said")).to_contain_text("2 deliveries due: 2 to shop.")
            await page.get_by_label("Type").fill("charge.*")
            await begin.click()
            await expect(page.locator("#said")).to_contain_text("3 deliveries due: 3 to shop.")
            assert (await found.operator.get("/replays"))["data"] == [], "what was not counted was not begun"
            await begin.click()
            await expect(page.locator("#replay .badge").first).to_have_text("done", timeout=PATIENCE_MS)
            await expect(page.locator("#replay")).to_contain_text("all events that shop asks for, of type charge.*")
        assert (await found.stand("a", "delivered"))["attempts"] == 2


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_no_page_is_wider_than_a_phone(opened: Browser, tmp_path: Path, colours: Any):
    async with world(tmp_path) as found:
        found.answers(a=500, b=410)
        [dead, _] = [*await found.die("a"), None]
        replay = (await found.operator.ask("POST", "/replays", {"ids": [dead], "rate": 0.01})).json["id"]
        paths = ("/dead", "/dead?error=status", "/replays", f"/replays/{replay}", "/replays/new?endpoint=shop")
        async with tab(found.running, opened, viewport=PHONE, color_scheme=colours) as person:
            for path in paths:
                assert await person.go(path) == 200
                assert await overflow(person.page) == 0, path
                ground = await person.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
                assert (int(ground.split("(")[1].split(",")[0]) < 100) == (colours == "dark"), ground


# --- Without scripts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Where nothing changes: one delivery is dead, and the endpoint is paused."""
    async with world(tmp_path_factory.mktemp("still")) as found:
        found.answers(a=500)
        await found.die("a")
        await found.operator.done("POST", "/endpoints/shop/pause")
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def person(still: World) -> AsyncIterator[Plain]:
    async with plain(still.running) as found:
        yield found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("endpoint=nobody", 'there is no endpoint "nobody"'),
        ("endpoint=%3Cscript%3Ealert(1)%3C/script%3E", 'there is no endpoint "<script>alert(1)</script>"'),
        ("endpoint=shop&error=bad+luck", "must be one of blocked, connect"),
        ("endpoint=shop&error=%3Cscript%3E", "must be one of blocked, connect"),
        ("endpoint=shop&error=status&status=5", "must be a whole number from 100 to 999"),
        ("endpoint=shop&error=status&status=five", "must be a whole number"),
        ("endpoint=shop&error=status&status=%D9%A5%D9%A0%D9%A0", "must be a whole number"),
        ("endpoint=shop&error=status&error=dns", "is given more than once"),
        ("endpoint=shop&error=status&type=%5B", "is not an event glob"),
        ("endpoint=shop&error=status&since=yesterday", "RFC 3339"),
        ("endpoint=shop&error=status&cursor=x", "is not one that this list has given"),
        ("cursor=x", "is not one that this list has given"),
        ("endpoint=shop&state=delivered", "is nothing that dead letters are found by"),
        ("%3Cscript%3E=1", "is nothing that dead letters are found by"),
    ],
)
async def test_filters_that_mean_nothing_are_422_and_say_why(person: Plain, query: str, said: str):
    seen = await person.get(f"/dead?{query}")
    assert seen.status == 422
    assert said in seen.words
    assert "<script>" not in seen.text
    assert (await person.send(f"/dead?{query}", which="all", do="replay")).status == 422


async def test_a_form_that_is_sent_empty_leads_to_a_clean_url(person: Plain):
    seen = await person.get("/dead?endpoint=shop&error=status&status=&type=&since=")
    assert (seen.status, seen.headers["Location"]) == (303, "/dead?endpoint=shop&error=status")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"which": "ticked"}, "tick some of them, or choose all"),
        ({}, "tick some of them, or choose all"),
        ({"id": "evt_1"}, "neither an event's id"),
        ({"id": HOSTILE}, "neither an event's id"),
        ({"id": NOBODY}, "is no delivery of the log"),
        ({"which": "all", "rate": "fast"}, "must be a number of deliveries a second"),
        ({"which": "all", "rate": "nan"}, "must be a number of deliveries a second"),
        ({"which": "all", "rate": "1e400"}, "must be a number of deliveries a second"),
        ({"which": "all", "rate": HOSTILE}, "must be a number of deliveries a second"),
    ],
    ids=["none-ticked", "nothing", "wrong-id", "hostile-id", "unknown-id", "fast", "nan", "huge", "hostile-rate"],
)
@pytest.mark.parametrize("do", ["count", "replay"])
async def test_what_cannot_be_replayed_is_422_with_what_was_filled_in(
    person: Plain, still: World, fields: dict[str, str], said: str, do: str
):
    seen = await person.send("/dead?endpoint=shop&error=status&status=500", do=do, **fields)
    assert seen.status == 422
    assert said in seen.words
    assert f'name="rate" value="{fields.get("rate", "")}"' in html.unescape(seen.text)
    assert "<script>" not in seen.text
    assert "1 dead" in (await person.get("/dead")).words
    assert (await still.operator.get("/replays"))["data"] == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "must say what to replay"),
        ({"endpoint": "nobody"}, 'there is no endpoint "nobody"'),
        ({"endpoint": HOSTILE}, "there is no endpoint"),
        ({"source": "nobody"}, 'there is no source "nobody"'),
        ({"state": "lost"}, "must be one of pending, delivered"),
        ({"status": "500"}, "with state dead, and no other"),
        ({"state": "dead", "status": "5e2"}, "a whole number from 100 to 999"),
        ({"state": "dead", "status": "9" * 30}, "a whole number from 100 to 999"),
        ({"state": "dead", "error": HOSTILE}, "must be one of status"),
        ({"state": "dead", "since": "2026-01-02", "until": "2026-01-01"}, "must not be after until"),
        ({"state": "dead", "until": HOSTILE}, "RFC 3339"),
        ({"state": "dead", "rate": "-1"}, "must be a number of deliveries a second"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else "",
)
async def test_a_backfill_that_means_nothing_is_422_with_what_was_filled_in(
    person: Plain, still: World, fields: dict[str, str], said: str
):
    for do in ("count", "begin"):
        seen = await person.send("/replays/new", do=do, counted="", **fields)
        assert seen.status == 422
        assert said in seen.words
        for each in fields.values():
            assert each in html.unescape(seen.text)
        assert "<script>" not in seen.text
    assert (await still.operator.get("/replays"))["data"] == []


async def test_a_backfill_that_was_never_counted_is_counted_first(person: Plain, still: World):
    for counted in ("", "endpoint=other", HOSTILE):
        seen = await person.send("/replays/new", do="begin", endpoint="shop", state="dead", counted=counted)
        assert seen.status == 200
        assert "1 delivery due: 1 to shop." in seen.words
    assert (await still.operator.get("/replays"))["data"] == []


@pytest.mark.parametrize("path", [f"/replays/{NO_REPLAY}", "/replays/rpl_1", "/replays/%3Cscript%3E"])
async def test_a_replay_that_is_not_there_is_404(person: Plain, path: str):
    assert (await person.get(path)).status == 404
    assert (await person.send(f"{path}/cancel")).status == 404


async def test_a_link_fills_a_backfill_in_and_does_nothing_else(person: Plain, still: World):
    seen = await person.get("/replays/new?endpoint=shop&state=dead&error=status&type=%22%3E%3Cscript%3E")
    assert seen.status == 200
    assert 'value="shop"' in seen.text
    assert "<option selected>dead</option>" in seen.text
    assert "<script>" not in seen.text
    assert (await still.operator.get("/replays"))["data"] == []


async def test_a_form_without_its_secret_does_nothing(person: Plain, still: World):
    for path in ("/dead?error=status", "/replays/new", f"/replays/{NO_REPLAY}/cancel"):
        assert (await person.ask("POST", path, {"which": "all", "do": "replay"})).status == 403
    assert (await still.operator.get("/replays"))["data"] == []


async def test_who_may_only_read_sees_no_button_and_can_do_nothing(still: World):
    async with desk(still.running) as operator:
        token = (await operator.done("POST", "/tokens", {"name": "reader", "scope": "read"}))["token"]
    list_of_one = "/dead?endpoint=shop&error=status&status=500"
    async with plain(still.running) as admin, plain(still.running, token) as reader:
        for path, may in [("/dead", "/replays/new"), (list_of_one, 'name="which"'), ("/replays", "/replays/new")]:
            assert may in (await admin.get(path)).text
            seen = await reader.get(path)
            assert seen.status == 200
            assert may not in seen.text
            assert 'type="checkbox"' not in seen.text
        assert (await reader.get("/replays/new")).status == 403
        for path in (list_of_one, "/replays/new", f"/replays/{NO_REPLAY}/cancel"):
            assert (await reader.send(path, which="all", do="replay", state="dead")).status == 403
    assert (await still.operator.get("/replays"))["data"] == []


async def test_no_page_shows_a_card_number_that_a_merchant_or_a_sender_says(tmp_path: Path):
    card, steering = "4242 4242 4242 4242", "\u202e"
    async with world(tmp_path) as found, plain(found.running) as person:
        found.shop.text = f"declined: {card} {steering}".encode()
        found.answers(a=500)
        body = payment("a")
        headers = {**stripe_headers(body), "User-Agent": f"by {card}"}
        assert (await post(found.running, "stripe", body, headers))[0] == 200
        dead = await found.stand("a", "dead")
        pages = [await person.get(path) for path in ("/dead?endpoint=shop&status=500", f"/events/{dead['event_id']}")]
        pages.append(await person.send("/endpoints/shop/ping"))
        for seen in pages:
            assert seen.status == 200
            assert "declined: ••••4242 \\u202e" in seen.words
            assert card not in seen.text
            assert steering not in seen.text
        assert "by ••••" not in pages[1].words  # a header that has one is not kept


async def test_the_page_of_a_replay_says_that_an_open_breaker_holds_it_up_and_what_to_do(tmp_path: Path):
    names = [f"n{number}" for number in range(8)]
    async with world(tmp_path) as found, plain(found.running) as person:
        found.answers(**dict.fromkeys(names, 500))
        ids = await found.die(names[0])
        for name in names[1:]:
            body = payment(name)
            await post(found.running, "stripe", body, stripe_headers(body))
        async with asyncio.timeout(PATIENCE_S):
            while (await found.operator.get("/endpoints/shop"))["breaker"] != "open":
                pass
        begun = await found.operator.ask("POST", "/replays", {"ids": ids, "endpoint": "shop"})
        seen = await person.get(f"/replays/{begun.json['id']}")
        assert "Its breaker is open: what is due to it waits" in seen.words
        assert '<strong>Resume</strong> at <a href="/endpoints/shop">' in seen.text


async def test_one_replay_too_many_is_409_and_says_what_to_do(tmp_path: Path):
    async with world(tmp_path) as found, plain(found.running) as person:
        found.answers(a=500, b=500)
        ids = await found.die("a", "b")
        await found.operator.done("POST", "/endpoints/shop/pause")
        for _ in range(RUNNING_MAX):
            assert (await found.operator.ask("POST", "/replays", {"ids": ids, "rate": 0.01})).status == 202
        seen = await person.send("/dead?error=status", which="all", do="count")
        assert seen.status == 200
        seen = await person.send("/dead?error=status", which="all", do="replay")
        assert seen.status == 409
        assert "wait until one is done, or cancel one" in seen.words


async def test_pages_of_a_list_follow_each_other_with_their_filters(tmp_path: Path):
    names = [f"n{number}" for number in range(52)]
    async with world(tmp_path, max_in_flight=1) as found, plain(found.running) as person:
        await found.operator.done("POST", "/endpoints/shop/pause")
        for name in names:
            body = payment(name)
            await post(found.running, "stripe", body, stripe_headers(body))
        found.shop.answer = lambda _got: 500
        async with asyncio.timeout(PATIENCE_S):
            while (await found.states())["dead"] < len(names):
                await found.operator.done("POST", "/endpoints/shop/resume")
        listed: list[str] = []
        path = "/dead?endpoint=shop&error=status&status=500"
        while path:
            seen = await person.get(path)
            listed += _values(seen.text, 'name="id" id="tick-')
            path = next(iter(_values(seen.text, 'rel="next" href="')), "")
        assert len(listed) == len({*listed}) == len(names)


def _values(text: str, before: str) -> Sequence[str]:
    return [html.unescape(each.partition('"')[0]) for each in text.split(before)[1:]]

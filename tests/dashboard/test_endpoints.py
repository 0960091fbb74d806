"""The endpoints' pages: what is seen of an endpoint, what is done to it, and what becomes of a secret."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import standardwebhooks
from playwright.async_api import Browser, Page, expect

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.dashboard.browsing import PHONE, browser, tab
from tests.dashboard.plain import SAME_ORIGIN, Plain, Seen, plain
from tests.running import ENDPOINT_SECRET, RunningDaemon, configuration, daemon, endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 55
NOWHERE = "http://127.0.0.1:1099/nobody"
"""A port that nobody listens on."""


class Place(NamedTuple):
    running: RunningDaemon
    operator: Desk
    opened: Browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    names = ("configured", *(f"many-{number}" for number in range(MANY)))
    config = configuration(endpoints="".join(endpoint(name, 10999, events=["never.*"]) for name in names))
    async with (
        daemon(tmp_path_factory.mktemp("endpoints"), config) as running,
        desk(running) as operator,
        browser() as opened,
    ):
        yield Place(running, operator, opened)


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Merchant]:
    async with merchant() as found:
        yield found


async def add(place: Place, name: str, url: str = NOWHERE, **settings: Any) -> Any:
    """It hears of nothing but what is named like itself."""
    asked = {"name": name, "url": url, "secret": ENDPOINT_SECRET, "events": [f"{name}.*"], **settings}
    return await place.operator.done("POST", "/endpoints", asked)


def at(shop: Merchant, name: str) -> str:
    return f"http://127.0.0.1:{shop.port}/{name}"


async def happen(place: Place, name: str) -> None:
    """Something that the endpoint of this name hears of."""
    await place.operator.done("POST", "/events", {"type": f"{name}.happened", "data": {}})


async def posted(browser: Plain, path: str, *fields: tuple[str, str]) -> Seen:
    """A form in which a field may be there several times."""
    form = [("csrf", (await browser.get("/")).csrf), *fields]
    return await browser.ask("POST", path, form, headers=SAME_ORIGIN)


async def button(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


def _was(form: Seen) -> str:
    """What stood in it when it was shown."""
    [found] = re.findall(r'name="was" value="([^"]*)"', form.text)
    return html.unescape(found)


def row(page: Page, name: str) -> Any:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


# --- Seen


async def test_a_list_shows_how_each_endpoint_is_and_goes_on_page_after_page(place: Place):
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints?name=many&state=&removed=")
        rows = found.page.locator("tbody tr")
        await expect(rows).to_have_count(50)
        await expect(rows.first).to_contain_text("active")
        await found.page.get_by_role("link", name="more »").click()
        await expect(rows).to_have_count(MANY - 50)
        await found.page.get_by_role("link", name="« first").click()
        await expect(rows).to_have_count(50)
        await found.page.get_by_label("Name contains").fill("many-54")
        await button(found.page, "Show")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("http://127.0.0.1:10999/many-54")


async def test_filters_that_mean_nothing_are_told_so_and_stay_where_they_are(place: Place):
    async with plain(place.running) as found:
        seen = await found.get("/endpoints?state=asleep&name=sh%3Cop")
        assert (seen.status, "state must be one of active, disabled, paused" in seen.words) == (422, True)
        assert 'value="sh&lt;op"' in seen.text
        assert "No endpoint is like that." in (await found.get("/endpoints?name=nobody-is-called-so")).words


async def test_what_failed_last_is_told_with_its_event_and_what_to_do(place: Place, shop: Merchant):
    shop.answer = lambda _got: 404
    await add(place, "lost", at(shop, "lost"), schedule=["0s"])
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints/lost")
        await expect(found.page.locator("#now")).to_contain_text("None since the daemon began")
        await happen(place, "lost")
        await expect(found.page.locator("#now")).to_contain_text("Answered 404")  # without a reload
        await expect(found.page.locator("#now")).to_contain_text("compare the endpoint's URL with the merchant's route")
        [dead] = (await place.operator.get("/deliveries", endpoint="lost"))["data"]
        link = found.page.get_by_role("link", name="the event")
        assert await link.get_attribute("href") == f"/events/{dead['event_id']}"
        for state, count in (("/deliveries?endpoint=lost&state=pending", "0"), ("/dead?endpoint=lost", "1")):
            await expect(found.page.locator(f'#now a[href="{state}"]')).to_contain_text(count)
        await found.go("/endpoints?name=lost")
        await expect(row(found.page, "lost")).to_contain_text("Answered 404")
        spark = found.page.get_by_role("img", name="Attempts of the last hour: 0 succeeded, 1 failed")
        await expect(spark).to_be_visible()


async def test_what_a_url_asks_with_is_shown_to_nobody(place: Place):
    await add(place, "asking", f"{NOWHERE}?token=hunter2&hunter3")
    reader = await place.operator.done("POST", "/tokens", {"name": "asking", "scope": "read"})
    async with plain(place.running, reader["token"]) as found:
        for path in ("/endpoints/asking", "/endpoints?name=asking"):
            seen = await found.get(path)
            assert (seen.status, "?token=***&***" in seen.words, "hunter" in seen.text) == (200, True, False)


async def test_markup_in_urls_globs_headers_and_answers_is_text(place: Place, shop: Merchant):
    shop.text = b"<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
    await add(place, "hostile", at(shop, "'&lt;b&gt;"), events=["a*"], headers={"X-'&lt": "value"})
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints/hostile")
        await expect(found.page.locator("main")).to_contain_text("/'&lt;b&gt;")
        await expect(found.page.locator("#settings")).to_contain_text("X-'&lt: ********")
        await found.go("/endpoints?name=hostile")
        await expect(row(found.page, "hostile")).to_contain_text("/'&lt;b&gt;")
        await found.go("/endpoints/hostile/edit")
        await expect(found.page.get_by_label("URL")).to_have_value(at(shop, "'&lt;b&gt;"))
        await found.go("/endpoints/hostile/ping")
        await button(found.page, "Ping")
        await expect(found.page.locator("pre")).to_have_text(shop.text.decode())
        assert await found.page.evaluate("window.ran") is None
        await found.go("/endpoints/new")
        name = '"><script>window.ran = 1</script>'
        await found.page.get_by_label("Name", exact=True).fill(name)
        await button(found.page, "Add the endpoint")
        await expect(found.page.get_by_label("Name", exact=True)).to_have_value(name)
        assert await found.page.evaluate("window.ran") is None


# --- Paused and resumed, pinged


async def test_who_pauses_and_resumes_is_seen_in_another_tab_without_a_reload(place: Place, shop: Merchant):
    await add(place, "standing", at(shop, "standing"))
    async with tab(place.running, place.opened) as watcher, tab(place.running, place.opened) as actor:
        await watcher.go("/endpoints?name=standing")
        await watcher.page.evaluate("window.was = 'here'")
        await actor.go("/endpoints/standing")
        await button(actor.page, "Pause")
        await expect(actor.page.get_by_role("status").first).to_contain_text("standing is paused")
        await expect(actor.page.locator("#now")).to_contain_text("Paused by a person")
        await expect(row(watcher.page, "standing")).to_contain_text("by a person")
        await happen(place, "standing")
        await expect(row(watcher.page, "standing").get_by_role("link", name="1", exact=True)).to_be_visible()
        assert shop.got == []
        await button(actor.page, "Resume")
        await expect(row(watcher.page, "standing")).to_contain_text("active")
        await shop.has(1)
        await expect(row(watcher.page, "standing").get_by_role("link", name="1", exact=True)).to_have_count(0)
        assert await watcher.page.evaluate("window.was") == "here"


async def test_a_ping_shows_the_answer_and_of_one_that_fails_what_to_do(place: Place, shop: Merchant):
    shop.text = b"thank you"
    await add(place, "awake", at(shop, "awake"))
    await add(place, "asleep")
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints/awake")
        await button(found.page, "Ping")
        await expect(found.page.locator("main")).to_contain_text(re.compile(r"Answered 200\s+after [\d,]+ ms"))
        await expect(found.page.locator("pre")).to_have_text("thank you")
        [got] = shop.got
        assert b'"webhookd.ping"' in got.body
        await expect(found.page.get_by_role("button", name="Resume")).to_have_count(0)
        await place.operator.done("POST", "/endpoints/awake/pause")
        await button(found.page, "Ping again")
        await expect(found.page.locator("main")).to_contain_text("still held back: it is paused")
        await button(found.page, "Resume")
        await expect(found.page.locator("main")).to_contain_text("active")
        await found.go("/endpoints/asleep")
        await button(found.page, "Ping")
        await expect(found.page.locator("main")).to_contain_text("No connection")
        await expect(found.page.locator("main")).to_contain_text("is the merchant up")
        await button(found.page, "Ping again")
        await found.page.get_by_role("link", name="Back to asleep").click()
        assert found.page.url.endswith("/endpoints/asleep")


# --- Secrets


async def test_an_endpoint_is_added_its_secret_is_shown_once_and_it_gets_what_it_asked_for(
    place: Place, shop: Merchant
):
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints")
        await found.page.get_by_role("link", name="Add an endpoint").click()
        await found.page.get_by_label("Name", exact=True).fill("added")
        await found.page.get_by_label("URL").fill(at(shop, "added"))
        await found.page.get_by_label("published").check()
        await found.page.get_by_label("Events", exact=True).fill("added.*\nalso.this")
        await button(found.page, "Add the endpoint")
        shop.secret = await found.page.locator("#secret").inner_text()
        assert shop.secret.startswith("whsec_")
        assert shop.secret not in found.page.url
        await happen(place, "added")
        await shop.has(1)  # and its signature is right
        view = await place.operator.get("/endpoints/added")
        assert (view["sources"], view["events"]) == (["published"], ["added.*", "also.this"])
        await found.page.reload()
        await expect(found.page.get_by_role("alert")).to_contain_text("There is an endpoint added already")
        assert shop.secret not in await found.page.content()
        await found.go("/endpoints/added")
        assert shop.secret not in await found.page.content()


async def test_a_secret_is_rotated_shown_once_and_the_one_before_signs_too(place: Place, shop: Merchant):
    await add(place, "rotated", at(shop, "rotated"))
    async with tab(place.running, place.opened, permissions=["clipboard-read", "clipboard-write"]) as found:
        await found.go("/endpoints/rotated")
        await found.page.get_by_role("link", name="Rotate secret").click()
        await found.page.get_by_label("The one before signs too for").fill("2h")
        await button(found.page, "Rotate the secret")
        secret = await found.page.locator("#secret").inner_text()
        await expect(found.page.locator("main")).to_contain_text("It is shown this once.")
        await button(found.page, "Copy")
        await expect(found.page.get_by_role("button", name="Copied")).to_be_visible()
        assert await found.page.evaluate("navigator.clipboard.readText()") == secret
        await happen(place, "rotated")
        [got] = await shop.has(1)  # which was checked with the one before
        standardwebhooks.Webhook(secret).verify(got.body, got.headers)
        await found.page.reload()  # which sends the form again
        assert found.page.url.endswith("/endpoints/rotated")
        await expect(found.page.get_by_role("status").first).to_contain_text("nothing was done now")
        assert secret not in await found.page.content()
        assert len((await place.operator.get("/endpoints/rotated"))["secrets"]) == 2
        await expect(found.page.locator("#secrets .signing")).to_have_count(2)


async def test_the_answer_with_a_secret_is_kept_nowhere_and_a_public_key_is_there_to_stay(place: Place):
    await add(place, "keys")
    async with plain(place.running) as found:
        [before] = (await place.operator.get("/endpoints/keys"))["secrets"]
        fields = {"since": before["since"], "secret_kind": "ed25519", "overlap": "0s"}
        seen = await found.send("/endpoints/keys/rotate", **fields)
        [secret] = re.findall(r"whsk_[\w+/=]+", seen.text)
        [public] = set(re.findall(r"whpk_[\w+/=]+", seen.text))
        assert (seen.status, seen.headers["Cache-Control"]) == (200, "no-store")
        after = await found.get("/endpoints/keys")
        assert (secret in after.text, public in after.text) == (False, True)
        again = await found.send("/endpoints/keys/rotate", **fields)
        assert (again.status, again.headers["Location"]) == (303, "/endpoints/keys")
        assert [each["public_key"] for each in (await place.operator.get("/endpoints/keys"))["secrets"]] == [public]


async def test_a_rotation_that_cannot_be_says_why_and_echoes_no_secret(place: Place):
    await add(place, "unrotated")
    async with plain(place.running) as found:
        since = (await place.operator.get("/endpoints/unrotated"))["secrets"][0]["since"]
        wrong = {"since": since, "overlap": "soon", "secret": "whsec_notbase64!", "secret_kind": "hmac"}
        seen = await found.send("/endpoints/unrotated/rotate", **wrong)
        assert (seen.status, 'value="soon"' in seen.text, "notbase64" in seen.text) == (422, True, False)
        assert 'id="overlap-wrong"' in seen.text
        assert 'id="secret-wrong"' in seen.text


# --- Settings


async def test_an_edit_changes_what_was_touched_and_nothing_that_somebody_else_changed_meanwhile(place: Place):
    await add(place, "edited", headers={"X-Key": "the value"}, max_in_flight=2)
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints/edited")
        await found.page.get_by_role("link", name="Edit").click()
        await place.operator.done("PATCH", "/endpoints/edited", {"max_in_flight": 5})
        await found.page.get_by_label("Timeout").fill("30s")
        await found.page.get_by_label("Headers", exact=True).fill("X-Key: ********\nX-More: another value")
        await button(found.page, "Save")
        await expect(found.page.get_by_role("status").first).to_contain_text("edited is changed: timeout, headers.")
        await expect(found.page.locator("#settings")).to_contain_text("30s")
        view = await place.operator.get("/endpoints/edited")
        assert (view["timeout"], view["max_in_flight"]) == ("30s", 5)
        assert view["headers"] == {"X-Key": "********", "X-More": "********"}
        await found.page.get_by_role("link", name="Edit").click()
        await button(found.page, "Save")
        await expect(found.page.get_by_role("status").first).to_contain_text("Nothing was changed.")


async def test_what_is_wrong_stands_beside_its_field_what_was_typed_stays_and_secrets_are_not_echoed(place: Place):
    typed = (
        *(("name", "Shop One"), ("url", "ftp://shop.example/typed"), ("timeout", "1x"), ("max_in_flight", "0")),
        *(("events", "charge.*\r\n<what>"), ("sources", "stripe"), ("sources", "gone-since")),
        *(("headers", "X-Fine: hidden-1\r\nHost: hidden-2"), ("secret", "hidden-3"), ("client_key", "hidden-4")),
    )
    async with plain(place.running) as found:
        seen = await posted(found, "/endpoints/new", *typed)
        assert seen.status == 422
        for field in ("name", "url", "timeout", "max_in_flight", "events", "sources", "headers", "secret"):
            assert f'id="{field}-wrong"' in seen.text, field
        assert "Host is set by webhookd itself" in seen.words
        for text in ('value="Shop One"', 'value="ftp://shop.example/typed"', 'value="1x"', "charge.*\r\n&lt;what&gt;"):
            assert text in seen.text.replace("\n", "\r\n").replace("\r\r", "\r"), text
        assert 'value="stripe" checked' in seen.text
        assert "X-Fine: \nHost: " in seen.text
        assert "hidden-" not in seen.text
        await add(place, "wrongly-edited")
        was = re.findall(r'name="was" value="([^"]*)"', (await found.get("/endpoints/wrongly-edited/edit")).text)
        seen = await posted(
            found, "/endpoints/wrongly-edited/edit", ("url", NOWHERE), ("timeout", "1y"), ("was", was[0])
        )
        assert (seen.status, 'value="1y"' in seen.text, 'id="timeout-wrong"' in seen.text) == (422, True, True)


async def test_an_edit_of_what_somebody_else_changed_meanwhile_asks_first(place: Place):
    await add(place, "contested")
    async with plain(place.running) as found:
        was = _was(await found.get("/endpoints/contested/edit"))
        await place.operator.done("PATCH", "/endpoints/contested", {"timeout": "20s"})
        typed = (("url", NOWHERE), ("timeout", "30s"), ("allow_http", "on"))
        seen = await posted(found, "/endpoints/contested/edit", *typed, ("was", was))
        assert (seen.status, 'value="30s"' in seen.text, "is 20s by now" in seen.words) == (409, True, True)
        assert (await place.operator.get("/endpoints/contested"))["timeout"] == "20s"
        seen = await posted(found, "/endpoints/contested/edit", *typed, ("was", _was(seen)))
        assert seen.status == 303
        assert (await place.operator.get("/endpoints/contested"))["timeout"] == "30s"


async def test_a_name_that_is_taken_is_told_beside_it(place: Place):
    await add(place, "taken")
    async with plain(place.running) as found:
        seen = await found.send("/endpoints/new", name="taken", url=NOWHERE)
        assert (seen.status, 'id="name-wrong"' in seen.text, f'value="{NOWHERE}"' in seen.text) == (409, True, True)


async def test_settings_that_cannot_be_used_any_more_are_put_right_on_the_page(tmp_path: Path):
    both = configuration()
    async with daemon(tmp_path, both) as running, desk(running) as operator:
        asked = {"name": "shop", "url": NOWHERE, "sources": ["standard", "stripe"], "timeout": "3s"}
        await operator.done("POST", "/endpoints", asked)
        await running.kill()
        (tmp_path / "webhookd.toml").write_text(both.partition("[sources.standard]")[0])
        await running.start()
        async with plain(running) as found:
            assert 'there is no source "standard"' in (await found.get("/endpoints/shop")).words
            assert "its settings cannot be used" in (await found.get("/endpoints?state=disabled")).words
            assert (await found.get("/endpoints/shop/rotate")).status == 409
            form = await found.get("/endpoints/shop/edit")
            assert 'there is no source "standard"' in form.words
            [was] = re.findall(r'name="was" value="([^"]*)"', form.text)
            fields = [("was", was.replace("&#34;", '"')), ("url", NOWHERE), ("sources", "stripe"), ("ordering", "")]
            assert (await posted(found, "/endpoints/shop/edit", *fields)).status == 303
            view = await operator.get("/endpoints/shop")
            assert (view["state"], view["sources"], view["timeout"]) == ("active", ["stripe"], "3s")


async def test_an_endpoint_that_is_named_new_has_a_page_too(place: Place):
    await add(place, "new")
    async with plain(place.running) as found:
        assert 'href="/endpoints/new/"' in (await found.get("/endpoints?name=new")).text
        assert 'href="/endpoints/new/"' in (await found.get("/endpoints/new")).text
        assert (await found.get("/endpoints/new/")).heading == "new"
        assert (await found.send("/endpoints/new/pause")).headers["Location"] == "/endpoints/new/"


# --- The end


async def test_who_removes_an_endpoint_is_told_what_becomes_of_what_it_is_owed(place: Place):
    await add(place, "leaving")
    await place.operator.done("POST", "/endpoints/leaving/pause")
    await happen(place, "leaving")
    await happen(place, "leaving")
    async with tab(place.running, place.opened) as found:
        await found.go("/endpoints/leaving")
        await found.page.get_by_role("link", name="Remove").click()
        await expect(found.page.locator("main")).to_contain_text(
            "It is still owed 2 deliveries. They are held, not lost"
        )
        await button(found.page, "Remove leaving")
        await expect(found.page.get_by_role("status").first).to_contain_text("2 deliveries are held for it")
        await found.page.get_by_label("Name contains").fill("leaving")
        await button(found.page, "Show")
        await expect(found.page.locator("tbody")).to_contain_text("No endpoint is like that.")
        await found.page.get_by_label("also those out of service").check()
        await button(found.page, "Show")
        await expect(row(found.page, "leaving")).to_contain_text("taken out of service")
        await found.page.get_by_role("link", name="leaving", exact=True).click()
        await expect(found.page.locator("#now")).to_contain_text(
            "it goes to the endpoint that is added under this name"
        )
        await expect(found.page.locator("main").get_by_role("button")).to_have_count(0)
        assert await found.go("/endpoints/leaving/edit") == 404


# --- Who may


@pytest.mark.parametrize("path", ["", "/edit", "/rotate", "/remove", "/ping"])
async def test_an_endpoint_that_is_not_there_is_not_found(place: Place, path: str):
    async with plain(place.running) as found:
        seen = await found.get(f"/endpoints/nobody{path}")
        assert (seen.status, 'There is no endpoint "nobody".' in seen.words) == (404, True)
        if path:
            assert (await found.send(f"/endpoints/nobody{path}")).status == 404


async def test_who_may_only_read_sees_no_button_and_is_refused_what_they_do(place: Place):
    await add(place, "untouchable")
    reader = await place.operator.done("POST", "/tokens", {"name": "untouchable", "scope": "replay"})
    async with plain(place.running, reader["token"]) as found:
        for path in ("/endpoints", "/endpoints/untouchable"):
            seen = await found.get(path)
            assert seen.status == 200
            assert re.findall(r'<form[^>]*method="post" action="(?!/logout)', seen.text) == []
            assert not re.search(r"/(new|edit|rotate|remove|ping)\b", seen.text)
        for path in ("new", "untouchable/edit", "untouchable/rotate", "untouchable/remove", "untouchable/ping"):
            assert (await found.get(f"/endpoints/{path}")).status == 403
            assert (await found.send(f"/endpoints/{path}", name="x", url=NOWHERE)).status == 403
        for path in ("pause", "resume"):
            assert (await found.send(f"/endpoints/untouchable/{path}")).status == 403
    assert (await place.operator.get("/endpoints/untouchable"))["state"] == "active"


async def test_what_the_configuration_manages_says_where_it_is_changed_and_can_be_paused(place: Place):
    async with plain(place.running) as found:
        seen = await found.get("/endpoints/configured")
        assert "The configuration manages configured: change it there, and reload." in seen.words
        assert "[endpoints.configured]" in seen.words
        assert not re.search(r"/endpoints/configured/(edit|rotate|remove)", seen.text)
        for path in ("edit", "remove"):
            assert (await found.get(f"/endpoints/configured/{path}")).status == 409
            refused = await found.send(f"/endpoints/configured/{path}", url="https://shop.example/other")
            assert (refused.status, "The configuration manages configured" in refused.words) == (409, True)
        refused = await found.send("/endpoints/configured/rotate", since="", overlap="1h")
        assert (refused.status, "Its secret is the configuration's" in refused.words) == (409, True)
        assert (await found.send("/endpoints/configured/pause")).status == 303
        assert (await place.operator.get("/endpoints/configured"))["state"] == "paused"


# --- On a phone, in the dark


async def test_on_a_phone_nothing_has_to_be_pushed_sideways_and_in_the_dark_it_is_dark(place: Place):
    await add(place, "small", f"http://127.0.0.1:1099/{'long' * 60}?{'q' * 200}", events=["a" * 200, "b" * 200])
    async with tab(place.running, place.opened, viewport=PHONE, color_scheme="dark") as found:
        for path in (
            "",
            "?name=small",
            "/small",
            "/small/edit",
            "/small/rotate",
            "/small/remove",
            "/small/ping",
            "/new",
        ):
            assert await found.go(f"/endpoints{path}") == 200
            size = "[document.documentElement.scrollWidth, window.innerWidth]"
            scrolls, fits = await found.page.evaluate(size)
            assert scrolls <= fits, path
        color = await found.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert max(map(int, re.findall(r"\d+", color)[:3])) < 64

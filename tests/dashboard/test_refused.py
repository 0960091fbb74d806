"""What was refused, why, and how it is put right within a minute; and what was not understood."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.dashboard.browsing import PHONE, Tab, browser, tab
from tests.dashboard.plain import plain
from tests.receive.wire import Headers, ask, event, new_address, post, standard, stripe
from tests.running import STRIPE_SECRET, RunningDaemon, configuration, daemon, endpoint

RIGHT, WRONG = "whsec_c4n4ry_right", "whsec_c4n4ry_wrong"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
SOURCE = "/refused/sources/stripe"


@pytest.fixture
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path, configuration()) as made:
        yield made


async def send(running: RunningDaemon, source: str, headers: Headers, body: bytes = b"{}") -> int:
    return (await ask(running.port, post(source, body, headers), address=new_address())).status


async def try_it(found: Tab, secret: str) -> None:
    await found.page.get_by_label("Signing secret").fill(secret)
    await found.page.get_by_role("button", name="Try it").click()


async def reads_only(running: RunningDaemon) -> str:
    async with desk(running) as asked:
        made = await asked.done("POST", "/tokens", {"name": "looks", "scope": "read"})
    return str(made["token"])


async def test_a_wrong_secret_is_found_tried_and_put_right_and_every_page_says_so_by_itself(
    opened: Browser, running: RunningDaemon
):
    body = event("evt_resent")
    async with tab(running, opened) as overview, tab(running, opened) as found:
        await overview.go("/refused")
        await expect(overview.page.get_by_text("No hook of a configured source was refused")).to_be_visible()

        assert await send(running, "stripe", stripe(body, RIGHT), body) == 401
        card = overview.page.get_by_role("article")
        await expect(card).to_contain_text("They are not signed with the secret that is configured here")
        await expect(card).to_contain_text("wrong_signature 1")

        await found.go("/refused")
        await found.page.get_by_role("link", name="Find the right secret").click()
        await expect(found.page.get_by_role("listitem").first).to_contain_text("Stripe Dashboard")
        await try_it(found, WRONG)
        await expect(found.page.get_by_role("alert")).to_contain_text("No.")
        await try_it(found, RIGHT)
        await expect(found.page.get_by_role("status").first).to_contain_text("Yes. 1 of the 1 newest")
        assert "c4n4ry" not in await found.page.content()

        config = running.directory / "webhookd.toml"
        config.write_text(config.read_text().replace(STRIPE_SECRET, RIGHT))
        await found.page.get_by_role("button", name="Read the configuration again").click()
        await expect(found.page.get_by_role("status").first).to_contain_text("changed: stripe")

        assert await send(running, "stripe", stripe(body, RIGHT), body) == 200
        await expect(found.page.locator("#standing")).to_contain_text("taken again")
        await expect(overview.page.get_by_role("article")).to_contain_text("taken again")
    assert "c4n4ry" not in json.dumps(running.log)


async def test_a_configuration_with_mistakes_is_not_taken_and_the_page_says_which(
    opened: Browser, running: RunningDaemon
):
    await send(running, "stripe", stripe(b"{}", RIGHT))
    config = running.directory / "webhookd.toml"
    config.write_text(config.read_text().replace('"stripe"', '"strype"'))
    async with tab(running, opened) as found:
        await found.go(SOURCE)
        await found.page.get_by_role("button", name="Read the configuration again").click()
        await expect(found.page.get_by_role("alert")).to_contain_text("did you mean stripe?")
        assert found.page.url.endswith(SOURCE)


async def test_what_strangers_write_is_text(opened: Browser, running: RunningDaemon):
    """On a phone, in the dark."""
    headers: Headers = {"User-Agent": HOSTILE, "Content-Type": HOSTILE, "X-Signature": HOSTILE}
    await send(running, "stripe", headers)
    await send(running, "standard", {**standard(b"{}", "msg_1"), "webhook-id": HOSTILE, "webhook-signature": HOSTILE})
    await send(running, "<script>alert(1)</script>", headers)
    async with tab(running, opened, viewport=PHONE, color_scheme="dark") as found:
        for path, shown in (
            ("/refused", "<script>alert(1)</script>"),
            (SOURCE, HOSTILE),
            ("/refused/sources/standard", "characters"),
            ("/refused/quarantined", "Every event"),
        ):
            assert await found.go(path) == 200
            await expect(found.page.locator("main")).to_contain_text(shown)
            assert "owned" not in await found.page.title()
            assert await found.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


async def test_what_was_not_understood_says_why_and_is_delivered_when_somebody_says_so(opened: Browser, tmp_path: Path):
    body = b'{"nothing": "<script>alert(1)</script>"}'
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        assert await send(running, "stripe", stripe(body), body) == 200
        async with tab(running, opened) as found:
            await found.go("/refused")
            await found.page.get_by_role("link", name="not understood", exact=True).click()
            card = found.page.get_by_role("article")
            await expect(card).to_contain_text("its envelope was not understood: id or type is missing")
            await card.get_by_label("Deliver it as it is to").select_option("shop")
            await card.get_by_role("button", name="Deliver").click()
            await expect(found.page.get_by_role("status").first).to_contain_text("to shop is due now")
        assert (await shop.has(1))[0].body == body


# --- What needs no browser


async def test_who_may_only_look_has_no_form_and_is_refused_without_one(running: RunningDaemon):
    await send(running, "stripe", stripe(b"{}", RIGHT))
    async with plain(running, await reads_only(running)) as found:
        page = await found.get(SOURCE)
        assert (page.status, 'name="secret"' in page.text, 'name="reload"' in page.text) == (200, False, False)
        assert "wrong_signature" in page.words
        for fields in ({"secret": RIGHT}, {"reload": "yes"}):
            assert (await found.send(SOURCE, **fields)).status == 403
        assert (await found.send("/refused/quarantined", event="evt_x", endpoint="shop")).status == 403


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        ({}, "See that the provider sends to the URL of its own source"),
        (standard(b"{}", "msg_1"), "give Standard Webhooks the URL of its source here, /webhooks/standard"),
        (stripe(b"{}", at=1_700_000_000), "timedatectl"),
        ({"Stripe-Signature": "v1=00"}, "stripe-signature : v1=2 hex"),
    ],
    ids=["unsigned", "another provider's", "old", "malformed"],
)
async def test_each_reason_has_its_own_advice(running: RunningDaemon, headers: Headers, advice: str):
    assert await send(running, "stripe", headers) == 401
    async with plain(running) as found:
        assert advice in (await found.get(SOURCE)).words


async def test_a_clock_that_is_wrong_is_the_first_thing_said(running: RunningDaemon):
    async with plain(running) as found:
        for number in range(3):
            assert "seems to be wrong" not in (await found.get("/refused")).text
            await send(running, "stripe", stripe(b"{}", at=1_700_000_000 + number))
        assert "seems to be wrong" in (await found.get("/refused")).text


async def test_an_address_that_was_mistyped_is_told_with_the_one_that_was_meant(running: RunningDaemon):
    assert await send(running, "strip", stripe(b"{}")) == 404
    async with plain(running) as found:
        page = await found.get("/refused")
    assert "<code>/webhooks/strip</code>" in page.text
    assert "Most like it: <code>/webhooks/stripe</code>" in page.text


@pytest.mark.parametrize("secret", ["", "env:HOME", "x" * 1_025], ids=["none", "a reference", "too long"])
async def test_what_cannot_be_a_secret_is_told_on_the_page_and_not_quoted(running: RunningDaemon, secret: str):
    await send(running, "stripe", stripe(b"{}", RIGHT))
    async with plain(running) as found:
        page = await found.send(SOURCE, secret=secret)
    assert (page.status, "This cannot be one" in page.words) == (422, True)
    assert not secret or secret not in page.text


async def test_a_secret_that_was_tried_is_not_on_the_page_that_answers(running: RunningDaemon):
    await send(running, "stripe", stripe(b"{}", RIGHT))
    async with plain(running) as found:
        for secret, answer in ((RIGHT, "Yes."), (WRONG, "No.")):
            page = await found.send(SOURCE, secret=secret)
            assert answer in page.words
            assert "c4n4ry" not in page.text


async def test_what_there_is_not_has_no_page_and_is_not_delivered(running: RunningDaemon):
    async with plain(running) as found:
        assert (await found.get("/refused/sources/nobody")).status == 404
        assert (await found.send("/refused/sources/nobody", secret="x")).status == 404
        assert (await found.get("/refused/quarantined?cursor=made-up")).status == 422
        assert (await found.send("/refused/quarantined", event="evt_x", endpoint="nobody")).status == 422

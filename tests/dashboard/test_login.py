"""Who comes in, and how; who guesses; and what is on record of it."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.admin.desk import desk
from tests.dashboard.browsing import browser, tab
from tests.dashboard.plain import Plain, plain
from tests.running import RunningDaemon, configuration, daemon
from webhookd.admin.door.guessing import OF_ONE_ADDRESS

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path_factory.mktemp("login"), configuration()) as made:
        yield made


def stranger(running: RunningDaemon) -> AbstractAsyncContextManager[Plain]:
    """From an address of his own: who guesses there slows nobody else down."""
    return plain(running, None, f"127.0.0.{next(_numbers)}")


async def token_of(running: RunningDaemon, scope: str) -> str:
    async with desk(running) as operator:
        made = await operator.done("POST", "/tokens", {"name": f"{scope}-{next(_numbers)}", "scope": scope})
        return str(made["token"])


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


@pytest.mark.parametrize("token", ["", "whd_wrong", "' OR 1=1", "é\N{SNOWMAN}", "x" * 100_000])
async def test_what_is_no_token_is_answered_alike(running: RunningDaemon, token: str):
    async with stranger(running) as found:
        seen = await found.log_in(token)
        assert (seen.status, seen.is_login, found.cookies) == (401, True, {})
        assert "This token is not known here, or is no longer good." in seen.words
        assert "whd_wrong" not in seen.text


@pytest.mark.parametrize("scope", ["read", "replay", "admin"])
async def test_a_token_that_may_look_comes_in_and_sees_what_it_is_good_for(running: RunningDaemon, scope: str):
    async with plain(running, await token_of(running, scope)) as found:
        seen = await found.get("/")
        assert (seen.status, seen.heading) == (200, "Overview")
        assert re.search(rf"{scope}-\d+ \({scope}\)", seen.words)


async def test_a_token_that_only_publishes_does_not_come_in(running: RunningDaemon):
    token = await token_of(running, "publish")
    async with stranger(running) as found:
        seen = await found.log_in(token)
        assert (seen.status, seen.is_login, found.cookies) == (403, True, {})
        assert "good for publish, and this needs one for read" in seen.words


async def test_who_is_in_is_shown_no_login_and_who_logs_out_is_out(running: RunningDaemon):
    async with plain(running) as found:
        assert (await found.get("/login")).headers["Location"] == "/"
        [cookie] = found.cookies.items()
        out = await found.send("/logout")
        assert (out.status, out.headers["Location"]) == (303, "/login")
        assert "Max-Age=0" in out.headers["Set-Cookie"]
        assert (await found.get("/")).is_login
        found.session.cookie_jar.update_cookies(dict([cookie]))  # who kept it has nothing of it
        assert (await found.get("/")).status == 401


# --- Where the login leads to


async def test_who_asked_for_a_page_comes_to_it_after_the_login(running: RunningDaemon):
    async with stranger(running) as found:
        asked = "/?text=a%20%22b%22%26c"
        seen = await found.get(asked)
        assert (seen.status, seen.then) == (401, asked)
        entered = await found.ask("POST", "/login", {"token": running.token, "then": seen.then})
        assert entered.headers["Location"] == asked


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\/evil.example",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/" + "x" * 3_000,
        "/\x00",
        "/\N{RIGHT-TO-LEFT OVERRIDE}",
    ],
    ids=ascii,
)
async def test_the_login_leads_nowhere_else(running: RunningDaemon, then: str):
    async with stranger(running) as found:
        entered = await found.ask("POST", "/login", {"token": running.token, "then": then})
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        wrong = await found.ask("POST", "/login", {"token": "whd_wrong", "then": then, "csrf": "x"})
        assert wrong.then == "/"


async def test_a_link_in_a_page_of_another_site_leads_to_the_page_of_who_is_in(
    opened: Browser, running: RunningDaemon, tmp_path: Path
):
    """Like one in a mail that is read on the web: the browser keeps the cookie to itself at first."""
    other = tmp_path / "mail.html"
    other.write_text(f'<a href="{running.admin}/?text=a%26b">look</a>')
    async with tab(running, opened) as found:
        found.url = ""  # the mail is elsewhere
        await found.page.goto(other.as_uri())
        await found.page.get_by_text("look").click()
        await found.page.get_by_role("heading", name="Overview").wait_for()
        assert found.page.url == f"{running.admin}/?text=a%26b"
        await found.page.context.clear_cookies()
        await found.page.goto(other.as_uri())
        await found.page.get_by_text("look").click()
        await found.page.get_by_label("Token").wait_for()
        await expect(found.page.locator("meta[http-equiv=refresh]")).to_have_count(0)  # it has asked once more
        await found.page.get_by_label("Token").wait_for()
        await found.page.wait_for_load_state()
        assert found.page.url == f"{running.admin}/?text=a%26b"


# --- Who guesses


async def test_who_guesses_is_slowed_and_a_right_token_comes_in_all_the_same(running: RunningDaemon):
    async with stranger(running) as found:
        seen = [await found.log_in(f"whd_wrong{number}") for number in range(OF_ONE_ADDRESS.count + 1)]
        assert [each.status for each in seen] == [*[401] * OF_ONE_ADDRESS.count, 429]
        assert int(seen[-1].headers["Retry-After"]) > 0
        assert seen[-1].is_login
        assert "Too many wrong tokens" in seen[-1].words
        assert (await found.log_in(running.token)).status == 303
        assert (await found.get("/")).heading == "Overview"


async def test_a_cookie_that_is_guessed_opens_nothing_and_is_quoted_nowhere(running: RunningDaemon):
    async with plain(running) as found:
        [name] = found.cookies
        for guess in ("", "x", "whd", running.token, "\\", '"quoted"', "x" * 6_000):
            found.session.cookie_jar.clear()
            seen = await found.get("/", Cookie=f"{name}={guess}")
            assert seen.status == 401
            assert len(guess) < 4 or guess not in seen.text


# --- On record


async def test_who_logs_in_and_out_is_on_record_and_no_token_and_no_cookie_is(tmp_path: Path):
    wrong = "whd_" + "w" * 43
    async with daemon(tmp_path, configuration()) as running:
        token = await token_of(running, "replay")
        async with plain(running, None) as found:
            await found.log_in(wrong)
            await found.log_in(token)
            [cookie] = found.cookies.values()
            csrf = (await found.get("/")).csrf
            await found.send("/logout")
        async with desk(running) as operator:
            rows = (await operator.get("/audit"))["data"]
        await running.stop()
    assert [(row["action"], row["actor"][:7], row["address"], row["detail"]) for row in rows[:2]] == [
        ("session.close", "replay-", "127.0.0.1", None),
        ("session.open", "replay-", "127.0.0.1", None),
    ]
    kept = repr(running.log) + b"".join(each.read_bytes() for each in (tmp_path / "data").glob("*.db*")).decode(
        "latin-1"
    )
    assert "replay-" in kept
    assert [secret for secret in (token, wrong, cookie, csrf) if secret in kept] == []

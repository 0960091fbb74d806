"""What changes something is asked for by a page of ours, in a form made for who is in: every page, no exception."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import desk
from tests.dashboard.browsing import browser, tab
from tests.dashboard.every_page import Route, every_page
from tests.dashboard.plain import SAME_ORIGIN, Plain, plain
from tests.running import RunningDaemon, configuration, daemon

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault(51)]
NOT_OURS = "not asked for by a page of this dashboard, so nothing was changed"
OTHERS_FORM = "form is of another session"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    config = configuration(server='admin_hosts = ["ops.example", "localhost"]')
    async with daemon(tmp_path_factory.mktemp("csrf"), config) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def found(running: RunningDaemon) -> AsyncIterator[Plain]:
    async with plain(running) as made:
        yield made


@pytest.fixture
def forms(tmp_path: Path) -> list[Route]:
    return [each for each in every_page(tmp_path, "POST") if each.page.scope != "nobody"]


async def is_in(found: Plain) -> bool:
    return (await found.get("/")).status == 200


# --- Where it comes from


@pytest.mark.parametrize(
    "said",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://HOST"},
        {},
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://HOST.evil.example"},
        {"Origin": "http://evil.example/http://HOST"},
        {"Origin": "http://evil.example@HOST"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "ftp://HOST"},
        {"Origin": "HOST"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
        {"Referer": "http://HOST/"},
    ],
    ids=repr,
)
async def test_what_does_not_come_from_a_page_of_ours_is_refused_whatever_it_knows(found: Plain, said: dict[str, str]):
    host = found.url.removeprefix("http://")
    headers = {name: value.replace("HOST", host) for name, value in said.items()}
    csrf = (await found.get("/")).csrf
    assert csrf
    refused = await found.ask("POST", "/logout", {"csrf": csrf}, headers)
    assert (refused.status, NOT_OURS in refused.words) == (403, True)
    assert await is_in(found)
    entered = await found.ask("POST", "/login", {"token": "whd_none"}, headers)  # as somebody else, unawares
    assert (entered.status, "Set-Cookie" in entered.headers) == (403, False)


@pytest.mark.parametrize("origin", ["http://HOST", "https://HOST", "HTTP://HOST"])
async def test_a_browser_that_does_not_say_where_it_is_asked_from_says_the_origin(found: Plain, origin: str):
    csrf = (await found.get("/")).csrf
    host = found.url.removeprefix("http://")
    out = await found.ask("POST", "/logout", {"csrf": csrf}, {"Origin": origin.replace("HOST", host)})
    assert (out.status, await is_in(found)) == (303, False)


async def test_over_plain_http_under_a_name_a_real_browser_logs_in_and_out(running: RunningDaemon):
    """There it says nothing of itself but the origin, and of a page without referrer that it has none."""
    port = running.admin.rpartition(":")[2]
    async with (
        browser("--host-resolver-rules=MAP ops.example 127.0.0.1") as opened,
        tab(running, opened, token=None) as shown,
    ):
        shown.url = f"http://ops.example:{port}"
        await shown.log_in(running.token)
        await shown.page.get_by_role("button", name="Log out").click()
        await shown.page.get_by_label("Token").wait_for()
        # The browser ignores what it takes for safe over TLS alone, and says so.
        shown.complaints = [each for each in shown.complaints if "Cross-Origin-Opener-Policy" not in each]


# --- Who looks


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_may_lead_to_a_page_and_load_none_of_them_within_its_own(
    found: Plain, tmp_path: Path, site: str
):
    """A page at another port of localhost sends the cookie along, and would be told by the time it takes."""
    pages = every_page(tmp_path, "GET")
    assert {"/", "/live", "/find", "/events/{id}/body"} <= {each.path for each in pages}
    for path in (each.filled("nothing") for each in pages):
        for mode, into in (("no-cors", "image"), ("no-cors", "empty"), ("navigate", "iframe"), ("cors", "empty")):
            asked = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": into, "Accept": "text/html"}
            refused = await found.ask("GET", path, headers=asked)
            assert (path, refused.status, refused.csrf) == (path, 403, "")
    led = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await found.get("/events", **led)).status == 200


# --- Whose form it is


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"csrf": ""},
        {"csrf": "x" * 64},
        {"csrf": "\N{SNOWMAN}"},
        {"CSRF": "CSRF"},
        [("csrf", "x"), ("csrf", "CSRF")],
    ],
    ids=ascii,
)
async def test_a_form_that_was_not_made_for_who_is_in_changes_nothing(found: Plain, fields: Any):
    csrf = (await found.get("/")).csrf
    pairs = fields.items() if isinstance(fields, dict) else fields
    refused = await found.ask("POST", "/logout", [(name, csrf if value == "CSRF" else value) for name, value in pairs])
    assert (refused.status, OTHERS_FORM in refused.words) == (403, True)
    assert await is_in(found)


async def test_the_form_of_another_session_of_the_same_person_is_none(found: Plain, running: RunningDaemon):
    async with plain(running) as another:
        refused = await found.ask("POST", "/logout", {"csrf": (await another.get("/")).csrf})
    assert (refused.status, await is_in(found)) == (403, True)


async def test_in_the_query_it_does_not_count(found: Plain):
    csrf = (await found.get("/")).csrf
    assert (await found.ask("POST", f"/logout?csrf={csrf}")).status == 403


async def test_a_login_that_waits_in_another_tab_still_works(found: Plain, running: RunningDaemon):
    """Its form was made before anybody was in."""
    before = (await found.get("/")).csrf
    assert (await found.log_in(running.token)).status == 303
    assert (await found.get("/")).csrf != before


# --- Every page


async def test_no_page_changes_anything_for_another_site_without_its_form_or_for_nobody(
    found: Plain, running: RunningDaemon, forms: list[Route]
):
    assert {"/logout", "/endpoints/new", "/endpoints/{name}/pause"} <= {each.path for each in forms}
    csrf = (await found.get("/")).csrf
    elsewhere = {**SAME_ORIGIN, "Sec-Fetch-Site": "cross-site"}
    async with desk(running) as operator, plain(running, None) as nobody:
        before = await operator.get("/audit")
        for path in (each.filled("nothing") for each in forms):
            refused = await found.ask("POST", path, {"csrf": csrf}, elsewhere)
            assert (path, refused.status, NOT_OURS in refused.words) == (path, 403, True)
            refused = await found.ask("POST", path, {"csrf": "x"})
            assert (path, refused.status, OTHERS_FORM in refused.words) == (path, 403, True)
            refused = await nobody.ask("POST", path, {"csrf": csrf})
            assert (path, refused.status, refused.is_login) == (path, 401, True)
            assert "so nothing was changed" in refused.words
        assert await operator.get("/audit") == before


async def test_a_token_that_may_only_look_presses_no_button(running: RunningDaemon, forms: list[Route]):
    async with desk(running) as operator:
        token = (await operator.done("POST", "/tokens", {"name": "looks", "scope": "read"}))["token"]
        async with plain(running, token) as found:
            csrf = (await found.get("/")).csrf
            before = await operator.get("/audit")
            for route in forms:
                if route.path != "/logout":
                    refused = await found.ask("POST", route.filled("nothing"), {"csrf": csrf})
                    assert (route.path, refused.status) == (route.path, 403)
            assert await operator.get("/audit") == before

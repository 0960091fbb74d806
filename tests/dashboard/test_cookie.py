"""The cookie: whose it is, what it outlives, and what is seen of a session that has ended."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import trustme
import yarl
from aiohttp import web
from multidict import CIMultiDictProxy

from tests.admin.desk import desk
from tests.dashboard.browsing import browser, tab
from tests.dashboard.plain import SAME_ORIGIN, plain
from tests.running import RunningDaemon, configuration, daemon

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    config = configuration(server='admin_hosts = ["ops.example"]')
    async with daemon(tmp_path_factory.mktemp("cookie"), config) as made:
        yield made


def cookie_for(url: str, value: str) -> dict[str, str]:
    return {"Cookie": f"whd-{url.rpartition(':')[2]}={value}"}


async def test_a_restart_throws_nobody_out_nor_does_kill_nine(tmp_path: Path):
    async with daemon(tmp_path, configuration()) as running:
        async with plain(running) as found:
            [cookie] = found.cookies.values()
            csrf = (await found.get("/")).csrf
        for end in (running.stop, running.kill):
            await end()
            await running.start()
            async with plain(running, None) as found:
                seen = await found.get("/", **cookie_for(running.admin, cookie))
                assert (seen.status, seen.csrf) == (200, csrf)


async def test_each_login_is_a_session_of_its_own_and_what_somebody_chose_is_none(running: RunningDaemon):
    async with plain(running, None) as found:
        chosen = cookie_for(running.admin, "A" * 43)
        entered = await found.ask("POST", "/login", {"token": running.token}, {**SAME_ORIGIN, **chosen})
        assert entered.status == 303
        assert "A" * 43 not in found.cookies.values()
        found.session.cookie_jar.clear()
        assert (await found.get("/", **chosen)).status == 401
        async with plain(running, None) as another:
            await another.log_in(running.token)
            [first] = another.cookies.values()
            csrf = (await another.get("/")).csrf
            await another.log_in(running.token)  # once more: what was there before is over
            [second] = another.cookies.values()
            assert (await another.get("/")).csrf != csrf
            another.session.cookie_jar.clear()
            assert (await another.get("/", **cookie_for(running.admin, first))).status == 401
            assert (await another.get("/", **cookie_for(running.admin, second))).status == 200


def attributes(headers: CIMultiDictProxy[str]) -> tuple[str, set[str]]:
    """The cookie's name, and what is said of it."""
    pair, *more = headers["Set-Cookie"].split("; ")
    return pair.partition("=")[0], set(more)


@pytest.mark.parametrize(
    ("host", "proto", "name"),
    [
        ("127.0.0.1:8081", None, "whd-8081"),
        ("localhost", "http", "whd"),
        ("[::1]", None, "whd"),
        ("localhost:\N{SUPERSCRIPT TWO}", None, "whd"),
        ("ops.example", "https", "__Host-whd"),
        ("ops.example:8443", "HTTPS, http", "__Host-whd-8443"),
        ("ops.example", "http, https", "whd"),
    ],
    ids=ascii,
)
async def test_the_cookie_is_for_us_alone(running: RunningDaemon, host: str, proto: str | None, name: str):
    async with plain(running, None) as found:
        said = {**SAME_ORIGIN, "Host": host} | ({} if proto is None else {"X-Forwarded-Proto": proto})
        entered = await found.ask("POST", "/login", {"token": running.token}, said)
        secure = {"Secure"} if name.startswith("__Host-") else set()
        assert attributes(entered.headers) == (name, {"HttpOnly", "Path=/", "SameSite=Strict"} | secure)
        value = entered.headers["Set-Cookie"].partition(";")[0]
        home = await found.ask("GET", "/", None, {**said, "Cookie": value})
        assert home.status == 200
        out = await found.ask("POST", "/logout", {"csrf": home.csrf}, {**said, "Cookie": value})
        assert attributes(out.headers) == (name, {"HttpOnly", "Path=/", "SameSite=Strict", "Max-Age=0"} | secure)


async def test_two_daemons_on_one_host_do_not_throw_each_others_people_out(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with (
        daemon(tmp_path / "one", configuration()) as one,
        daemon(tmp_path / "two", configuration()) as two,
        plain(one) as found,
    ):
        found.url = two.admin
        assert (await found.get("/")).status == 401
        assert (await found.log_in(two.token)).status == 303
        assert len(found.cookies) == 2
        for each in (one, two):
            found.url = each.admin
            assert (await found.get("/")).status == 200


async def test_what_is_told_live_ends_with_the_session(running: RunningDaemon):
    async with plain(running) as found:
        async with found.session.get(f"{running.admin}/live") as stream:
            assert (await stream.content.readline()) == b"retry: 2000\n"
            assert (await found.send("/logout")).status == 303
            await stream.read()  # to its end
        async with found.session.get(f"{running.admin}/live") as stream:
            assert stream.status == 401


async def test_a_page_that_is_open_becomes_the_login_when_its_token_is_removed_and_leads_back(running: RunningDaemon):
    async with browser() as opened, desk(running) as operator:
        token = (await operator.done("POST", "/tokens", {"name": "ops", "scope": "read"}))["token"]
        async with tab(running, opened, token=token) as found:
            await found.go("/?text=here")
            await found.page.wait_for_function("document.getElementById('offline').hidden")
            await operator.done("DELETE", "/tokens/ops")
            await found.page.get_by_label("Token").wait_for()
            assert "Your session has ended." in await found.page.get_by_role("alert").inner_text()
            await found.page.get_by_label("Token").fill(running.token)
            await found.page.get_by_role("button", name="Log in").click()
            await found.page.get_by_role("heading", name="Overview").wait_for()
            assert found.page.url == f"{running.admin}/?text=here"


@asynccontextmanager
async def tls_proxy(running: RunningDaemon) -> AsyncIterator[str]:
    """Does what docs/access.md asks of one, and no more. Its URL."""

    async def passed_on(request: web.Request) -> web.StreamResponse:
        headers = {**request.headers, "X-Forwarded-Proto": request.scheme}
        asked = session.request(
            request.method,
            yarl.URL(f"{running.admin}{request.raw_path}", encoded=True),
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        )
        async with asked as found:
            answer = web.StreamResponse(status=found.status, headers=found.headers)
            answer.headers.pop("Content-Length", None)
            await answer.prepare(request)
            async for part in found.content.iter_any():
                await answer.write(part)
            return answer

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", passed_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        try:
            yield f"https://localhost:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_behind_a_proxy_that_speaks_tls_a_browser_keeps_the_cookie_that_no_other_site_can_set(
    running: RunningDaemon,
):
    async with (
        tls_proxy(running) as url,
        browser() as opened,
        tab(running, opened, token=None, ignore_https_errors=True) as found,
    ):
        found.url = url
        await found.log_in(running.token)
        [cookie] = await found.page.context.cookies()
        assert cookie["name"] == f"__Host-whd-{url.rpartition(':')[2]}"
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        async with found.page.expect_response("**/live"):  # told live, through it
            await found.go("/")
        await found.page.get_by_role("button", name="Log out").click()
        await found.page.get_by_label("Token").wait_for()
        assert await found.page.context.cookies() == []

"""What a page is asked that it should not be: a clear page with the right status, and nothing else comes of it."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.dashboard.every_page import every_page
from tests.dashboard.plain import SAME_ORIGIN, Plain, Seen, plain
from tests.running import RunningDaemon, configuration, daemon
from webhookd.admin.dashboard.frame.forms import FIELDS_MAX, FORM_BYTES_MAX

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault(51)]
FORM = {**SAME_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path_factory.mktemp("bad"), configuration()) as made:
        yield made
        assert [line for line in made.log if line.get("event") in (None, "admin_request_failed")] == []


@pytest_asyncio.fixture(loop_scope="module")
async def found(running: RunningDaemon) -> AsyncIterator[Plain]:
    async with plain(running) as made:
        yield made


def assert_page(seen: Seen, status: int) -> None:
    """A whole page of ours, with the way back and what protects it."""
    assert (seen.status, seen.heading[:3]) == (status, str(status)), seen.text
    assert seen.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in seen.headers["Content-Security-Policy"]
    assert seen.headers["Cache-Control"] == "no-store"
    assert '<a href="/">To the overview</a>' in seen.text


# --- Where there is nothing


@pytest.mark.parametrize("path", ["/nothing", "/events/", "/login/", "/.env", "/%00", "/%E2%98%83", "/<script>"])
async def test_where_there_is_no_page_a_person_gets_one_that_says_so_and_a_program_a_problem(found: Plain, path: str):
    seen = await found.get(path)
    assert_page(seen, 404)
    assert "Log out" in seen.text
    assert "<script>" not in seen.text
    program = await found.ask("GET", path, headers={"Accept": "application/json"})
    assert (program.status, program.headers["Content-Type"]) == (404, "application/problem+json")


async def test_a_stranger_is_shown_the_way_in_there_and_no_more(running: RunningDaemon):
    async with plain(running, None) as found:
        seen = await found.get("/nothing")
        assert_page(seen, 404)
        assert "Log out" not in seen.text


async def test_an_error_leads_back_to_the_page_that_led_there_if_that_is_ours(found: Plain):
    for referer, back in (
        (f"{found.url}/events?type=a%26b", '<a href="/events?type=a%26b">Back to where you were</a>'),
        ("https://evil.example/events", None),
        (f"{found.url}//evil.example/", None),
        (f"{found.url}/nothing", None),
        ("http://[", None),
    ):
        seen = await found.get("/nothing", Referer=referer)
        assert_page(seen, 404)
        assert ("Back to where" in seen.text) == (back is not None)
        assert back is None or back in seen.text


async def test_under_another_name_there_is_one_page_and_it_leads_nowhere(found: Plain):
    for path in ("/", "/login", "/nothing"):
        seen = await found.get(path, Host="evil.example")
        assert (seen.status, seen.heading) == (421, "421 Misdirected Request")
        assert "server.admin_hosts" in seen.words
        assert 'href="/"' not in seen.text
        assert (found.url not in seen.text, "evil" not in seen.text, seen.is_login) == (True, True, False)
    entered = await found.ask("POST", "/login", {"token": "whd_x"}, {**SAME_ORIGIN, "Host": "evil.example"})
    assert (entered.status, "Set-Cookie" in entered.headers) == (421, False)


# --- Files


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/..%2f..%2fcookie.py",
        "/static/x/../../cookie.py",
        "/static/x/%2e%2e/%2e%2e/cookie.py",
        "/static/../../../../etc/passwd",
        "/static//page.css",
        "/static/x/page.css/",
        "/static/x/page.css%00",
        "/static/x/PAGE.CSS",
        "/static/x/",
        "/static/",
        "/static/x/..",
        "/static/%2e%2e/templates/base.html",
    ],
)
async def test_of_the_files_there_are_those_that_pages_load_and_no_others(found: Plain, path: str):
    seen = await found.ask("GET", path, headers={"Accept": "*/*"})
    assert seen.status == 404
    assert "import" not in seen.text


async def test_what_a_page_loads_is_kept_and_of_another_edition_it_is_not(found: Plain):
    home = await found.get("/")
    loaded = re.findall(r'(?:href|src)="(/static/[^"]*)"', home.text)
    assert len(loaded) >= 3
    for path in loaded:
        seen = await found.ask("GET", path)
        assert (seen.status, seen.headers["Cache-Control"]) == (200, "private, max-age=31536000, immutable")
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        another = await found.ask("GET", re.sub(r"/static/\w+/", "/static/another/", path))
        assert (another.status, another.headers["Cache-Control"], another.text) == (200, "no-store", seen.text)


# --- Methods


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"])
async def test_what_is_asked_in_another_way_is_told_how(found: Plain, method: str):
    seen = await found.ask(method, "/logout")
    assert_page(seen, 405)
    assert seen.headers["Allow"] == "POST"
    program = await found.ask(method, "/logout", headers={})
    assert (program.status, program.headers["Content-Type"]) == (405, "application/problem+json")


async def test_who_loads_what_a_button_does_is_told_so_and_nothing_is_done(found: Plain):
    seen = await found.get("/logout")
    assert_page(seen, 405)
    assert "go to the page that has it" in seen.words
    assert (await found.get("/")).status == 200


async def test_options_says_what_may_be_and_nothing_of_other_sites(found: Plain):
    for accept in ("text/html", "*/*"):
        said = {"Accept": accept, "Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        seen = await found.ask("OPTIONS", "/login", headers=said)
        assert (seen.status, seen.text, seen.headers["Allow"]) == (204, "", "GET,HEAD,POST")
        assert not [name for name in seen.headers if name.lower().startswith(("access-control", "content-type"))]


async def test_head_is_a_page_without_its_text(found: Plain, running: RunningDaemon, tmp_path: Path):
    for route in every_page(tmp_path, "GET"):
        if "{" not in route.path:
            seen, head = (
                await found.get(route.path) if route.path != "/live" else None,
                await found.ask("HEAD", route.path),
            )
            assert (head.text, head.status) == ("", 200 if seen is None else seen.status)
    async with plain(running, None) as nobody:
        assert (await nobody.ask("HEAD", "/")).status == 401


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "text/html", "text/*;q=0.1", "\N{SNOWMAN}".encode().decode("latin-1")]
)
async def test_a_page_is_a_page_whatever_is_accepted(found: Plain, running: RunningDaemon, accept: str):
    assert (await found.get("/", Accept=accept)).heading == "Overview"
    async with plain(running, None) as nobody:
        assert (await nobody.get("/", Accept=accept)).is_login


async def test_what_else_is_expected_is_not_met_and_not_quoted(found: Plain):
    for path in ("/login", "/static/x/page.css"):
        seen = await found.ask("GET", path, headers={**SAME_ORIGIN, "Expect": "canary"})
        assert (seen.status, "canary" in seen.text) == (417, False)


# --- Forms


def many(count: int) -> bytes:
    return b"&".join(b"a%d=1" % number for number in range(count))


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"x" * (FORM_BYTES_MAX + 1), FORM, 413, "at most"),
        (gzip.compress(b"token=x", mtime=0), {**FORM, "Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        (b'{"token": "x"}', {**FORM, "Content-Type": "application/json"}, 415, "Content-Type"),
        (b"token=x", {**FORM, "Content-Type": "text/plain"}, 415, "Content-Type"),
        (b"token=x", {**FORM, "Content-Type": "canary/canary; charset=canary"}, 415, "Content-Type"),
        (b"--a\r\n\r\nx\r\n--a--", {**FORM, "Content-Type": "multipart/form-data; boundary=a"}, 415, "Content-Type"),
        (b"token=\xff\xfe", FORM, 422, "form"),
        (b"token=%FF%FE", FORM, 422, "form"),
        (b"token=%ED%A0%80", FORM, 422, "form"),
        (many(FIELDS_MAX + 1), FORM, 422, "form"),
        (many(FIELDS_MAX), FORM, 401, "not known here"),
        (b"", FORM, 401, "not known here"),
        (b"&&&===%%%", FORM, 401, "not known here"),
        (b"token=a&token=b&then=/a&then=//evil.example", FORM, 401, "not known here"),
        (b"token=%00%0d%0a", FORM, 401, "not known here"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else None,
)
async def test_a_form_that_no_browser_sends(
    running: RunningDaemon, body: bytes, headers: dict[str, str], status: int, said: str
):
    async with plain(running, None, "127.0.0.77") as found:
        seen = await found.ask("POST", "/login", body, headers)
        assert (seen.status, said in seen.words, found.cookies) == (status, True, {})
        assert "canary" not in seen.text


async def test_a_form_may_come_in_pieces_and_is_cut_where_it_is_too_much(found: Plain):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * (FORM_BYTES_MAX // 4)

    seen = await found.ask("POST", "/login", pieces(), FORM)
    assert_page(seen, 413)


@pytest.mark.parametrize(
    "cookie", ["x" * 20_000, "; ".join(f"whd-{n}=x" for n in range(600)), "\x01", "=;=;,\\"], ids=ascii
)
async def test_a_cookie_that_is_none(running: RunningDaemon, cookie: str):
    async with plain(running, None) as found:
        host = running.admin.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n".encode())
        answer = await reader.read()
        assert answer.split()[1] in (b"400", b"401", b"431")
        assert cookie.encode() not in answer
        writer.close()
        await writer.wait_closed()
        assert (await found.get("/")).is_login


# --- Every page, asked for what is not there, and with what makes no sense


ABSURD = [
    "limit=-1",
    "limit=%C2%B2&per_s=x",
    "limit=99999999999999999999",
    "cursor=x",
    "cursor=AAAA&limit=1",
    "since=never&until=99999999999999",
    "state=%3Cscript%3E&state=x",
    "type=" + "*" * 3_000,
    "q=%00&text=%00&source=%00&provider=%00&endpoint=%00",
    "q=%FF%FE&text=%FF",
    "text=%E2%80%AE%7B%7B7*7%7D%7D&q=%7B%7B7*7%7D%7D",
    "since=2026-13-45&currency=%27%22&by=x&day=x&reason=x&kind=x&id=x&provider=nobody",
    "a=b&" * 300,
    "%" * 50,
    "=&=&&",
    "csrf=x&__proto__=x",
]
NOBODY = [
    "nothing",
    "evt_0",
    "dlv_" + "f" * 40,
    "9" * 30,
    "%00",
    "..%2f..",
    "%E2%80%AE",
    "x" * 3_000,
    "%27%22%3E%3Cscript%3E",
    "{{7*7}}",
    "%FF",
]


async def test_absurd_filters_are_told_or_passed_over_and_no_page_breaks(found: Plain, tmp_path: Path):
    wrong: list[Any] = []
    for route in every_page(tmp_path, "GET"):
        if route.path == "/live":
            continue
        for query in ABSURD:
            seen = await found.get(f"{route.filled('nothing')}?{query}")
            good = seen.status in (200, 303, 400, 404, 422) and "<script>" not in seen.text and "49" not in seen.heading
            if not good or (seen.status >= 400 and not seen.heading):
                wrong.append((route.path, query[:60], seen.status))
    assert wrong == []


async def test_what_is_not_there_is_not_found_and_not_quoted_as_it_is(found: Plain, tmp_path: Path):
    wrong: list[Any] = []
    for method in ("GET", "POST"):
        csrf = (await found.get("/")).csrf
        for route in every_page(tmp_path, method):
            if "{" not in route.path:
                continue
            for name in NOBODY:
                seen = await found.ask(method, route.filled(name), {"csrf": csrf} if method == "POST" else None)
                good = seen.status in (303, 400, 404, 409, 414, 422) and "<script>" not in seen.text
                if not good:
                    wrong.append((method, route.path, name[:60], seen.status))
    assert wrong == []

"""Secrets and card numbers are put wherever anything can be put in, and then looked for wherever anything comes out.

One daemon with tracing and its log at "debug" gets all of it, with a merchant who says back whatever he was sent. What
is looked at: the log, the metrics, what strangers are answered, every page that a link leads to, the lists of the API,
the commands, the spans, every column of the database, and all files of the data directory.
"""

import asyncio
import json
import re
import sys
import time
import urllib.error
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import web

from tests.admin.desk import Desk, desk
from tests.daemon.test_tracing import Collector, collector
from tests.faults.canaries import (
    API_ENDPOINT_SECRET,
    CARD,
    CARDS,
    ENDPOINT_SECRET,
    GROUPED,
    MERCHANT_TOKEN,
    PASSWORD,
    PERSON,
    SECRETS,
    STORE_KEY,
    STRANGERS_TOKEN,
    TRIED_SECRET,
    bad_hooks,
    bodies,
    found_in,
    found_in_database,
    good_hooks,
    signed,
    sources,
)
from tests.receive.wire import ask, wire
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon
from tests.shell import ask as command
from tests.visitor import Visitor

pytestmark = [pytest.mark.fault(53), pytest.mark.asyncio(loop_scope="module")]
PAGES_MAX = 60
LOOKS = (
    *("status", "sources", "events list", "deliveries list", "endpoints list", "endpoints show shop", "payments list"),
    *("endpoints show echo", "tokens list", "audit list", "revenue", "verify", "config show", "config check"),
)
LISTS = ("/status", "/sources", "/events", "/deliveries", "/endpoints", "/payments", "/refusals", "/audit", "/tokens")
NO_PAGES = re.compile(r"/body$|/logout|/static/|\.csv|/live")
"""Files to be kept, and what is no page."""


class Seen(NamedTuple):
    """What came out, by where."""

    log: str
    spans: str
    metrics: str
    told_to_strangers: list[str]
    told_to_operators: dict[str, str]
    pages: dict[str, str]
    lists: dict[str, str]
    commands: dict[str, str]
    shown: dict[str, str]
    """By the commands that show one thing, and with it what a merchant answered."""
    data: Path
    secrets: tuple[str, ...]
    """The constant ones, and those that were generated."""


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A merchant who says back all that he was sent, and never takes it. The port he is at."""

    async def answer(request: web.Request) -> web.Response:
        said = [f"{name}: {value}" for name, value in request.headers.items()]
        return web.Response(status=500, text="\n".join([CARD, GROUPED, *PERSON, *said, await request.text()]))

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def config(port: int, spans: Collector) -> str:
    shop = (
        f'[endpoints.shop]\nurl = "http://127.0.0.1:{port}/shop"\nsecret = "{ENDPOINT_SECRET}"\nschedule = ["0s"]\n'
        f'headers = {{ Authorization = "Bearer {MERCHANT_TOKEN}" }}\n'
    )
    more = f'\n[store]\nkey = "{STORE_KEY}"\n[tracing]\notlp = "{spans.url}"\n'
    return configuration(sources=sources(), endpoints=shop) + more


async def strangers(running: RunningDaemon) -> list[str]:
    """All that the hooks' listener said to what is bad."""
    told = []
    for number, request in enumerate(bad_hooks()):
        async with wire(running.port, f"127.3.0.{1 + number}") as connection:
            await connection.send(request)
            answer = await connection.answer()
            assert answer.status >= 400
            told.append(answer.raw.decode())
    return told


async def operators(operator: Desk, port: int) -> tuple[dict[str, str], tuple[str, ...]]:
    """All that the API said of what is bad, by what that was; and the secrets that it told once."""
    told: dict[str, str] = {}

    async def refused(what: str, *asked: Any, **query: str) -> None:
        answer = await operator.ask(*asked, **query)
        assert answer.status >= 400, (what, answer.body)
        told[what] = answer.body.decode()

    url = f"http://127.0.0.1:{port}/echo"
    secret = {"secret": API_ENDPOINT_SECRET, "headers": {"X-Api-Key": MERCHANT_TOKEN}, "schedule": ["0s"]}
    made = await operator.done("POST", "/endpoints", {"name": "echo", "url": url, **secret})
    rotated = await operator.done("POST", "/endpoints/echo/rotate-secret", {})
    token = await operator.done("POST", "/tokens", {"name": "looks", "scope": "read"})
    assert made["name"] == "echo"
    userinfo = f"https://user:{PASSWORD}@shop.example/"
    await refused("userinfo", "POST", "/endpoints", {"name": "bad", "url": userinfo})
    await refused("a secret that is none", "PATCH", "/endpoints/echo", {"secret": TRIED_SECRET, "url": userinfo})
    await refused("a header that is none", "PATCH", "/endpoints/echo", {"headers": {"A B": MERCHANT_TOKEN}})
    await refused(
        "a key that is none", "PATCH", "/endpoints/echo", {"client_key": STORE_KEY, "client_certificate": CARD}
    )
    await refused("a card as a state", "GET", "/payments", status=CARD)
    await refused("a card as a time", "GET", "/events", since=GROUPED)
    await refused("a card as a cursor", "GET", "/events", cursor=CARD)
    await refused("a card as a state to replay", "POST", "/replays", {"endpoint": "echo", "state": CARD})
    tried = await operator.ask("POST", "/sources/stripe/try-secret", {"secret": TRIED_SECRET})
    assert tried.status == 200
    published = await operator.ask("POST", "/events", {"type": "order.paid", "data": {"card": CARD, "who": PERSON}})
    assert published.status in (200, 201)
    await refused("a card as a provider", "POST", "/cleanup", {"days": 30, "provider": CARD})
    paused = await operator.ask("POST", "/endpoints/echo/ping", {})  # on record, with what was asked
    assert paused.status == 200
    good, operator.token = operator.token, STRANGERS_TOKEN
    await refused("a token that is none", "GET", "/events")
    operator.token = good
    return told, (rotated["secret"], token["token"])


def linked_pages(running: RunningDaemon) -> dict[str, str]:
    """Every page that a link leads to, from the first one on."""
    visitor, pages, ahead = Visitor(running.admin, PATIENCE_S), {}, ["/", "/refused", "/audit", "/nothing"]
    visitor.log_in(running.token)
    while ahead and len(pages) < PAGES_MAX:
        path = ahead.pop(0)
        if path in pages or NO_PAGES.search(path.partition("?")[0]):
            continue
        try:
            pages[path] = visitor.page(path)
        except urllib.error.HTTPError as error:
            pages[path] = error.read().decode()
        ahead += [unescape(each) for each in re.findall(r'href="(/[^"#]*)', pages[path])]
    return pages


async def commands(running: RunningDaemon, *more: str) -> dict[str, str]:
    at = ("--data-dir", running.directory / "data", "-c", running.directory / "webhookd.toml", "--url", running.admin)
    said = {}
    for words in more:
        ended = await command(*words.split(), *at)
        assert ended.code in (0, 1), (words, ended.err)
        said[words] = ended.out + ended.err
    return said


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    directory = tmp_path_factory.mktemp("canaries")
    talkative = [sys.executable, "-m", "tests.faults.talkative_daemon", "serve"]
    async with (
        echo() as port,
        collector() as spans,
        daemon(directory, config(port, spans), command=talkative) as running,
        desk(running) as operator,
    ):
        to_operators, generated = await operators(operator, port)
        to_strangers = await strangers(running)
        now_s = int(time.time())
        for request in good_hooks(now_s):
            assert (await ask(running.port, request)).status == 200
        async with asyncio.timeout(PATIENCE_S):
            while (await operator.get("/deliveries", state="pending"))["data"]:  # nothing announces it
                pass
        secrets = (*SECRETS, *generated, running.token)
        lists = {path: json.dumps(await operator.get(path), ensure_ascii=False) for path in LISTS}
        pages = await asyncio.to_thread(linked_pages, running)
        said = await commands(running, *LOOKS)
        [one, *_] = (await operator.get("/deliveries", state="dead"))["data"]
        about = (f"events show {one['event_id']}", f"deliveries show {one['id']}", f"why {one['event_id']}")
        shown = await commands(running, *about)
        metrics = await operator.metrics()
        assert await running.stop() == 0
        log = "\n".join(json.dumps(line, ensure_ascii=False) for line in running.log)
        raw = spans.raw.decode("utf-8", "replace")
        yield Seen(
            log, raw, metrics, to_strangers, to_operators, pages, lists, said, shown, directory / "data", secrets
        )


EVERYTHING = (*CARDS, *PERSON)


async def test_the_log_the_spans_and_the_metrics_have_none_of_it(seen: Seen):
    for name in ("log", "spans", "metrics"):
        text = getattr(seen, name)
        assert len(text) > 1_000, name  # something was said
        assert found_in(text, (*seen.secrets, *EVERYTHING)) == [], name


async def test_no_answer_to_what_is_bad_says_it_back(seen: Seen):
    for told in seen.told_to_strangers:
        assert found_in(told, (*seen.secrets, *EVERYTHING)) == [], told
    for what, told in seen.told_to_operators.items():
        assert found_in(told, (*seen.secrets, *EVERYTHING)) == [], (what, told)


async def test_no_page_shows_a_secret_or_the_number_of_a_card(seen: Seen):
    """A person's name is shown, where it is in what a provider sent."""
    assert len(seen.pages) > 30
    assert any(PERSON[0] in page for page in seen.pages.values())
    for path, page in seen.pages.items():
        text = unescape(page)
        assert found_in(text, seen.secrets) == [], path
        assert found_in(re.sub(r"<[^>]*>", "\n", text), CARDS) == [], path


async def test_no_list_and_no_command_shows_any_of_it(seen: Seen):
    for path, text in (seen.lists | seen.commands).items():
        assert found_in(text, (*seen.secrets, *EVERYTHING)) == [], path


async def test_what_is_shown_of_one_delivery_has_no_secret_and_no_card_number(seen: Seen):
    for path, text in seen.shown.items():
        assert "500" in text, text
        assert found_in(text, (*seen.secrets, *CARDS)) == [], path


async def test_no_column_of_the_database_holds_any_of_it_but_the_bytes_that_came(seen: Seen):
    assert found_in_database(seen.data / "webhookd.db", seen.secrets) == []


async def test_no_file_of_the_data_directory_holds_a_secret_but_the_one_that_is_for_it(seen: Seen):
    files = {path: path.read_bytes() for path in seen.data.rglob("*") if path.is_file()}
    assert seen.data / "webhookd.db" in files
    for path, raw in files.items():
        own = {"admin.token": seen.secrets[-1:]}.get(path.name, ())
        assert [each for each in seen.secrets if each.encode() in raw and each not in own] == [], path


async def test_a_canary_that_comes_out_would_have_been_found(seen: Seen):
    """Those that may be there, are: what was looked for went in."""
    found = found_in_database(seen.data / "webhookd.db", ())
    assert found == []
    body = bodies()["stripe"]
    assert found_in(body.decode(), EVERYTHING) == [*EVERYTHING]
    raw = (seen.data / "webhookd.db").read_bytes()
    assert CARD.encode() in raw  # of a body
    assert signed("stripe", body, 1)["User-Agent"] == f"canary {CARD}"

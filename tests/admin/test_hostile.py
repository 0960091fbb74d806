"""What somebody sends who means harm, with a token or without: he is refused, holds nothing up, and hears no echo."""

import asyncio
import gzip
import json
import re
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from tests.admin.desk import Desk, desk
from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from tests.running import PATIENCE_S, daemon
from webhookd import admin_server
from webhookd.admin.door import answers
from webhookd.admin_server import AdminProtocol, AdminRunner, AdminServer
from webhookd.config.value import Address
from webhookd.listening import listen

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault(51)]
CHANGES = (
    *(("POST", "/endpoints"), ("PATCH", "/endpoints/local"), ("POST", "/endpoints/local/ping"), ("POST", "/replays")),
    *(("POST", "/cleanup"), ("POST", "/backup"), ("POST", "/tokens"), ("POST", "/reload"), ("DELETE", "/tokens/x")),
    *(("POST", "/events"), ("POST", "/reconcile/stripe"), ("POST", "/reconcile/stripe/import")),
)
REFUSED = (409, 422)
ANSWER_BYTES_MAX = 64 * 2**10


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("hostile")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(dev: DevDaemon) -> AsyncIterator[Desk]:
    async with desk(dev.running) as found:
        yield found


async def dialled(url: str) -> tuple[StreamReader, StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


async def answered(reader: StreamReader) -> tuple[int, bytes]:
    """The status, and all that came."""
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
    return int(head.split(b" ")[1]), head + body


async def sent(dev: DevDaemon, raw: bytes) -> tuple[int, bytes]:
    reader, writer = await dialled(dev.running.admin)
    writer.write(raw)
    try:
        return await answered(reader)
    finally:
        writer.close()


def head(dev: DevDaemon, method: str, path: str, *lines: str) -> bytes:
    every = [f"{method} /api/v1{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {dev.running.token}"]
    return "\r\n".join([*every, "Content-Type: application/json", *lines, "", ""]).encode()


# --- Bodies


@pytest.mark.parametrize(("method", "path"), CHANGES, ids=lambda each: each.strip("/").replace("/", "-"))
async def test_lists_within_lists_within_lists_are_refused(operator: Desk, method: str, path: str):
    deep = "[" * 900 + "]" * 900
    fields = ("name", "type", "data", "headers", "events", "ids", "objects", "file", "days", "zzz")
    everywhere = ", ".join([f'"{each}": {deep}' for each in fields])
    for body in (f"{{{everywhere}}}", f'{{"headers": {{"a": {deep}}}}}'):
        answer = await operator.ask(method, path, body.encode())
        assert (answer.status in REFUSED, len(answer.body) < ANSWER_BYTES_MAX) == (True, True), answer.body[:200]


@pytest.mark.parametrize(("method", "path"), CHANGES, ids=lambda each: each.strip("/").replace("/", "-"))
async def test_an_answer_does_not_grow_with_all_that_was_wrong(operator: Desk, method: str, path: str):
    answer = await operator.ask(method, path, json.dumps({f"k{each}": 1 for each in range(60_000)}).encode())
    assert (answer.status in REFUSED, len(answer.body) < ANSWER_BYTES_MAX) == (True, True), len(answer.body)


@pytest.mark.parametrize(("method", "path"), CHANGES, ids=lambda each: each.strip("/").replace("/", "-"))
@pytest.mark.parametrize(
    "raw", [b"no gzip at all", gzip.compress(b"{}"), gzip.compress(b"{}")[:-6]], ids=["corrupt", "whole", "cut short"]
)
async def test_a_compressed_body_is_415_before_it_is_unpacked(dev: DevDaemon, method: str, path: str, raw: bytes):
    lines = ("Content-Encoding: gzip", f"Content-Length: {len(raw)}")
    status, _ = await sent(dev, head(dev, method, path, *lines) + raw)
    assert status == 415


# --- What is not HTTP


@pytest.mark.parametrize(
    "raw",
    [
        b"canary / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /canary\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET canary:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer canary\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"canary" * 2_000 + b"\r\n\r\n",
        b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
    ],
    ids=range(6),
)
async def test_what_is_not_http_is_a_problem_that_quotes_nothing(dev: DevDaemon, raw: bytes):
    status, answer = await sent(dev, raw)
    assert (status, b"application/problem+json" in answer, b"canary" in answer) == (400, True, False), answer
    assert "canary" not in json.dumps(dev.running.log)


@pytest.mark.parametrize("version", [b"", b" HTTP/0.9", b" HTTP/1.2", b" HTTP/2.0", b" HTTP/3.0"])
async def test_other_versions_of_http_are_not_spoken(dev: DevDaemon, version: bytes):
    """Row 17: and not answered in, either."""
    status, answer = await sent(dev, b"GET /api/v1/status" + version + b"\r\nHost: localhost\r\n\r\n")
    assert (status, answer.startswith(b"HTTP/1.1 400 "), b"application/problem+json" in answer) == (400, True, True)


@pytest.mark.parametrize("path", ["/api/v1/status", "/nothing", "/login", "/static/x/page.css"])
@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
async def test_what_is_expected_is_quoted_nowhere(dev: DevDaemon, method: str, path: str):
    """Row 39: neither where something is, nor where nothing is, nor by another method."""
    status, answer = await sent(dev, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nExpect: canary\r\n\r\n".encode())
    assert (status, b"application/problem+json" in answer, b"canary" in answer) == (417, True, False), answer


async def test_a_body_that_breaks_off_in_the_middle_is_nobodys_fault_here(dev: DevDaemon, operator: Desk):
    status, answer = await sent(
        dev, head(dev, "POST", "/replays", "Transfer-Encoding: chunked") + b"2\r\n{}\r\ncanary\r\n"
    )
    assert (status, b"canary" in answer) == (400, False)
    assert not [each for each in dev.running.log if each["event"] == "admin_request_failed"]


# --- Who holds on to something


async def test_a_crowd_at_the_admin_listener_leaves_the_hooks_their_descriptors(tmp_path: Path):
    few = ["sh", "-c", 'ulimit -n 240; exec "$0" "$@"', sys.executable, "-m", "webhookd", "serve", "--dev"]
    free_ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")]
    async with (
        asyncio.timeout(PATIENCE_S),
        daemon(tmp_path, '[server]\nmin_free = "1MiB"\n', *free_ports, command=few) as running,
        ClientSession() as session,
    ):
        crowd = [await dialled(running.admin) for _ in range(300)]
        cut = [asyncio.create_task(reader.read()) for reader, _ in crowd]
        await asyncio.wait(cut, return_when=asyncio.FIRST_COMPLETED)
        await DevDaemon(running, session).send(stripe_event("crowd"))
        for _, writer in crowd:
            writer.close()
        await asyncio.wait(cut)
        for each in cut:
            each.exception()  # cut, or closed here


@asynccontextmanager
async def generous() -> AsyncIterator[tuple[AdminRunner, str]]:
    """Answers everybody with more than fits between the two."""
    app = web.Application()

    async def much(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2**26)

    app.router.add_get("/", much)
    runner = AdminRunner(app, shutdown_timeout=0)
    at = await listen(runner, [], Address("127.0.0.1", 0))
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield runner, f"http://{at}"
    finally:
        await runner.cleanup()


async def who_takes_nothing(url: str) -> StreamWriter:
    reader, writer = await dialled(url)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    return writer


async def until(runner: AdminRunner, connections: int, unread: int) -> None:
    server = runner.server
    assert isinstance(server, AdminServer)
    while (len(server.connections), server.unread) != (connections, unread):
        await asyncio.sleep(0)


async def test_who_takes_nothing_of_his_answer_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AdminProtocol, "unread_s", 0.01)
    async with generous() as (runner, url):
        writer = await who_takes_nothing(url)
        await until(runner, 1, 1)
        await until(runner, 0, 0)
        writer.close()


async def test_only_so_many_answers_wait_to_be_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admin_server, "UNREAD_MAX", 2)
    async with generous() as (runner, url):
        first = [await who_takes_nothing(url) for _ in range(2)]
        await until(runner, 2, 2)
        late = await who_takes_nothing(url)
        await until(runner, 3, 3)
        await until(runner, 2, 2)
        for each in (*first, late):
            each.close()


async def test_a_body_that_does_not_come_is_408(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answers, "BODY_S", 0.01)
    app = web.Application()

    async def take(request: web.Request) -> web.Response:
        try:
            await answers.json_object(request)
        except web.HTTPException as error:
            return answers.problem_answer(error.status, error.reason)
        return web.Response()

    app.router.add_post("/", take)
    runner = AdminRunner(app)
    at = await listen(runner, [], Address("127.0.0.1", 0))
    try:
        reader, writer = await dialled(f"http://{at}")
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        assert (await answered(reader))[0] == 408
        writer.close()
    finally:
        await runner.cleanup()

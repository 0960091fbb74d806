"""Bad-input catalogue, rows 12 to 23 and 33 to 40: heads that are not HTTP, or ask for what is not here."""

from contextlib import suppress

import pytest

from tests.receive.wire import (
    Headers,
    ask,
    assert_problem,
    chunked,
    event,
    head,
    new_address,
    stripe,
    wire,
)
from tests.running import RunningDaemon

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.fault(51)]

HOOK = "POST /webhooks/stripe HTTP/1.1"
CHUNKED = {"Transfer-Encoding": "chunked"}
LIMIT = 2**20


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/nobody",
        "/webhooks/",
        "/webhooks/STRIPE",
        "/webhooks/stripe/",
        "/webhooks/stripe%00",
        "/webhooks/%73tripe",
        "/webhooks/../webhooks/stripe",
        "//webhooks/stripe",
        "/webhooks/" + "a" * 4000,
        "/webhooks",
        "/",
        "/api/v1/status",
        "/metrics",
    ],
)
async def test_a_source_nobody_configured_is_not_found(receiver: RunningDaemon, path: str) -> None:
    """Row 12; and row 72: what belongs to the admin listener is not here."""
    assert_problem(await ask(receiver.port, head(f"POST {path} HTTP/1.1", {"Content-Length": "0"})), 404)


async def test_a_query_is_not_part_of_the_source(receiver: RunningDaemon) -> None:
    """Row 12, its other side: some providers are given a URL with one."""
    body = event("evt_query")
    request = head("POST /webhooks/stripe?a=b HTTP/1.1", {"Content-Length": str(len(body)), **stripe(body)}) + body
    assert (await ask(receiver.port, request)).json()["status"] == "accepted"


@pytest.mark.parametrize("character", ["\0", "\x01", "\t", "\n", "\r", "\x7f", "ï", "\x1b[31m"])
async def test_a_control_character_in_the_path_is_refused(receiver: RunningDaemon, character: str) -> None:
    """Row 14."""
    assert_problem(await ask(receiver.port, head(f"POST /webhooks/str{character}ipe HTTP/1.1")), 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_a_hook_is_sent_with_post_and_nothing_else(receiver: RunningDaemon, method: str) -> None:
    """Row 15."""
    async with wire(receiver.port) as connection:
        await connection.send(head(f"{method} /webhooks/stripe HTTP/1.1"))
        answer = await connection.answer(to_head=method == "HEAD")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert_problem(answer, 405)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_only_looked_at(receiver: RunningDaemon, path: str, method: str) -> None:
    """Row 15, for the two other paths."""
    answer = await ask(receiver.port, head(f"{method} {path} HTTP/1.1", {"Content-Length": "0"}))
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "line",
    ["CONNECT evil.example:443 HTTP/1.1", "CONNECT /webhooks/stripe HTTP/1.1", "OPTIONS * HTTP/1.1"],
)
async def test_it_is_no_proxy_and_has_no_options(receiver: RunningDaemon, line: str) -> None:
    """Row 16."""
    answer = await ask(receiver.port, head(line))
    assert answer.status in (404, 405)
    assert_problem(answer, answer.status)


@pytest.mark.parametrize(
    "sent",
    [
        head("post /webhooks/stripe HTTP/1.1"),
        head("BREW /webhooks/stripe HTTP/1.1"),
        head("POST /webhooks/stripe HTTP/1.2.3"),
        head("POST  HTTP/1.1"),
        head("POST http://[x/webhooks/stripe HTTP/1.1"),
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(190),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        b"\r\n\r\n\r\nhello\r\n\r\n",
    ],
    ids=["lower case", "unknown", "version", "no path", "no URL", "TLS", "HTTP/2", "no HTTP at all"],
)
async def test_what_is_not_an_http_1_request_is_refused(receiver: RunningDaemon, sent: bytes) -> None:
    """Row 17."""
    async with wire(receiver.port) as connection:
        await connection.send(sent)
        assert_problem(await connection.answer(), 400)
        assert await connection.rest() == b""


@pytest.mark.parametrize("version", ["", " HTTP/0.9", " HTTP/1.2", " HTTP/2.0", " HTTP/3.0", " HTTP/9.9"])
@pytest.mark.parametrize("line", ["GET /healthz", "POST /webhooks/stripe"])
async def test_other_versions_of_http_are_not_spoken(receiver: RunningDaemon, line: str, version: str) -> None:
    """Row 17: HTTP/0.9 names no version; the others may look like 1.1 and yet mean something else."""
    async with wire(receiver.port, new_address()) as connection:
        await connection.send(head(line + version, host=b"a" if version else None))
        assert_problem(await connection.answer(), 400)
        assert await connection.rest() == b""


@pytest.mark.parametrize("more", [(), (b"Host: a", b"Host: b"), (b"Host: a", b"Host: a")], ids=["none", "two", "same"])
async def test_http_1_1_names_one_host(receiver: RunningDaemon, more: tuple[bytes, ...]) -> None:
    """Row 18."""
    assert_problem(await ask(receiver.port, head(HOOK, {"Content-Length": "0"}, *more, host=None)), 400)


async def test_http_1_0_may_leave_the_host_out(receiver: RunningDaemon) -> None:
    """Row 19."""
    body = event("evt_row_19")
    headers = {"Content-Length": str(len(body)), **stripe(body)}
    async with wire(receiver.port) as connection:
        await connection.send(head("POST /webhooks/stripe HTTP/1.0", headers, host=None) + body)
        answer = await connection.answer()
        assert answer.json()["status"] == "accepted"
        assert await connection.rest() == b""  # HTTP/1.0 keeps no connection unless asked to


@pytest.mark.parametrize(
    "lines",
    [
        *([f"Content-Length: {value}"] for value in ("-1", "+2", "abc", "", "1e3", "0x2", "2, 2", "2 2", "9" * 30)),
        ["Content-Length: 2", "Content-Length: 2"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length : 2"],
    ],
)
async def test_a_content_length_is_one_plain_number(receiver: RunningDaemon, lines: list[str]) -> None:
    """Row 22."""
    assert_problem(await ask(receiver.port, head(HOOK, {}, *(line.encode() for line in lines)) + b"{}"), 400)


@pytest.mark.parametrize("lines", [(0, 1), (1, 0)])
async def test_a_length_and_chunks_together_smell_of_smuggling(receiver: RunningDaemon, lines: tuple[int, ...]) -> None:
    """Row 23: in either order, and nothing after it is taken for a second request."""
    both = (b"Content-Length: 2", b"Transfer-Encoding: chunked")
    async with wire(receiver.port) as connection:
        hook = head(HOOK, {}, *(both[index] for index in lines)) + chunked(b"{}")
        await connection.send(hook, head("GET /healthz HTTP/1.1"))
        assert_problem(await connection.answer(), 400)
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    "coding", ["xchunked", "chunked, identity", "identity", "gzip", "chunked, chunked", "chunked,", " ", "chunked;a=b"]
)
async def test_what_does_not_end_in_chunked_is_refused(receiver: RunningDaemon, coding: str) -> None:
    """Row 33."""
    answer = await ask(receiver.port, head(HOOK, {"Transfer-Encoding": coding}) + chunked(b"{}"), address=new_address())
    assert_problem(answer, 400)


@pytest.mark.parametrize(
    "line",
    [
        b"A: b\r\n c",
        b"A: b\nC: d",
        b"A: b\rC: d",
        b"A : b",
        b"A: \0",
        b"A: \x01",
        b"A\0: b",
        b"A(: b",
        b": b",
        b"A",
    ],
)
async def test_a_header_that_two_parsers_might_read_in_two_ways_is_refused(
    receiver: RunningDaemon, line: bytes
) -> None:
    """Row 35."""
    assert_problem(await ask(receiver.port, head(HOOK, {"Content-Length": "0"}, line)), 400)


async def test_bare_line_feeds_end_no_line(receiver: RunningDaemon) -> None:
    """Row 35."""
    assert_problem(await ask(receiver.port, b"POST /webhooks/stripe HTTP/1.1\nHost: a\nContent-Length: 0\n\n"), 400)


@pytest.mark.parametrize(
    "request_head",
    [
        head(HOOK, {"A": "b" * 9_000}),
        head(HOOK, {"A" * 9_000: "b"}),
        head(HOOK, {f"A{number}": "b" for number in range(200)}),
        head(f"POST /webhooks/stripe?{'a' * 9_000} HTTP/1.1"),
    ],
    ids=["a long value", "a long name", "many", "a long path"],
)
async def test_a_head_that_is_too_large_is_refused(receiver: RunningDaemon, request_head: bytes) -> None:
    """Row 37."""
    assert_problem(await ask(receiver.port, request_head), 400)


async def test_thousands_of_pipelined_requests_are_served_or_cut_and_cost_no_memory(receiver: RunningDaemon) -> None:
    """Row 38: first for someone who reads the answers, then for someone who reads none before all is sent."""
    request = head("GET /healthz HTTP/1.1")
    before = memory_kib(receiver.pid)
    async with wire(receiver.port) as connection:
        for _ in range(100):
            await connection.send(request * 100)
            for _ in range(100):
                assert (await connection.answer()).status == 200
    async with wire(receiver.port) as connection:
        with suppress(ConnectionError):
            await connection.send(request * 100_000)
    assert memory_kib(receiver.pid) - before < 64 * 1024
    assert (await ask(receiver.port, request)).status == 200


def memory_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


async def test_there_is_no_websocket_here(receiver: RunningDaemon) -> None:
    """Row 40."""
    headers: Headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert_problem(await ask(receiver.port, head("GET /webhooks/stripe HTTP/1.1", headers)), 405)

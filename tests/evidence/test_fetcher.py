"""One request for evidence over real TLS: what comes of good answers, and of servers that are anything but good."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from webhookd.deliver.guard import Guard
from webhookd.evidence.fetcher import Answer, Fetcher, FetchError
from webhookd.providers.provider import Request

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def anywhere(host: str, port: int) -> None:
    """No address is closed."""


class Server:
    def __init__(self, port: int, got: list[tuple[str, dict[str, str], bytes]]) -> None:
        self.url = f"https://localhost:{port}/certs/CERT-1"
        self.got = got


@asynccontextmanager
async def server(
    say: bytes | Say, *, authority: trustme.CA = AUTHORITY, name: str = "localhost"
) -> AsyncIterator[Server]:
    """Says these bytes to each request and hangs up, or does as it is told."""
    got: list[tuple[str, dict[str, str], bytes]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
            got.append((line, headers, await reader.readexactly(int(headers.get("content-length", "0")))))
            if isinstance(say, bytes):
                writer.write(say)
                await writer.drain()
            else:
                await say(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(tls)
    listening = await asyncio.start_server(connected, "localhost", 0, ssl=tls, family=socket.AF_INET)
    try:
        yield Server(listening.sockets[0].getsockname()[1], got)
    finally:
        listening.close()


@asynccontextmanager
async def fetcher(check: Any = anywhere, timeout_s: float = 30) -> AsyncIterator[Fetcher]:
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)
    made = Fetcher(check, timeout_s=timeout_s, tls=trusting)
    try:
        yield made
    finally:
        await made.close()


async def fetched(say: bytes | Say, *, timeout_s: float = 30, **request: Any) -> Answer:
    async with server(say) as there, fetcher(timeout_s=timeout_s) as ours:
        return await ours.fetch(Request(there.url, **request))


async def refused(say: bytes | Say, **more: Any) -> str:
    with pytest.raises(FetchError) as caught:
        await fetched(say, **more)
    return caught.value.word


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + end


async def test_the_answer_is_had_byte_for_byte() -> None:
    body = bytes(range(256))
    assert await fetched(ok(body)) == Answer(body, None)
    assert await fetched(chunked(b"one", b"two")) == Answer(b"onetwo", None)
    assert await fetched(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end") == Answer(b"to the end", None)
    assert await fetched(ok(b"")) == Answer(b"", None)


async def test_without_a_body_it_is_a_get_and_with_one_a_post() -> None:
    async with server(ok(b"x")) as there, fetcher() as ours:
        await ours.fetch(Request(there.url))
        await ours.fetch(Request(there.url, (("Authorization", "Basic eA=="), ("Content-Type", "x/y")), b"a=1&b=\xff"))
    (get, get_headers, nothing), (post, post_headers, body) = there.got
    assert (get, nothing) == ("GET /certs/CERT-1 HTTP/1.1", b"")
    assert "authorization" not in get_headers
    assert get_headers["user-agent"].startswith("webhookd/")
    assert (post, body) == ("POST /certs/CERT-1 HTTP/1.1", b"a=1&b=\xff")
    assert (post_headers["authorization"], post_headers["content-type"]) == ("Basic eA==", "x/y")


@pytest.mark.parametrize(
    ("header", "max_age_s"),
    [
        ("Cache-Control: public,max-age=86400", 86_400),
        ("Cache-Control: max-age=60", 60),
        ("cache-control: Public, Max-Age=60, immutable", 60),
        ("Cache-Control: s-maxage=5", None),
        ("Cache-Control: no-store", None),
        ("Cache-Control: max-age=soon", None),
        ("Cache-Control: max-age=-1", None),
        (f"Cache-Control: max-age={'9' * 50}", None),
        ("Expires: 0", None),
    ],
)
async def test_how_long_the_sender_allows_it_to_be_kept(header: str, max_age_s: int | None) -> None:
    assert (await fetched(ok(b"x", header))).max_age_s == max_age_s


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    async with server(ok(b"evil")) as elsewhere:
        assert await refused(ok(b"", f"Location: {elsewhere.url}", status=status)) == "status"
        assert elsewhere.got == []


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 404, 429, 500, 503])
async def test_any_status_but_200_is_no_answer(status: int) -> None:
    with pytest.raises(FetchError) as caught:
        await fetched(ok(b"" if status in (204, 304) else b"x", status=f"{status} Word"))
    assert (caught.value.word, caught.value.status) == ("status", status)


async def test_no_more_is_taken_than_was_asked_for() -> None:
    assert (await fetched(ok(b"x" * 1_000), answer_bytes_max=1_000)).body == b"x" * 1_000
    assert await refused(ok(b"x" * 1_001), answer_bytes_max=1_000) == "size"
    assert await refused(chunked(b"x" * 1_001), answer_bytes_max=1_000) == "size"
    assert await refused(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_001, answer_bytes_max=1_000) == "size"


async def test_an_answer_without_an_end_is_left_when_it_is_too_large() -> None:
    sent = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            sent += 0x1000
            await writer.drain()

    assert await refused(endless, answer_bytes_max=64 * 1024) == "size"
    assert sent < 16 * 2**20


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("say", [silent, dripping])
async def test_one_deadline_bounds_all_of_it(say: Say) -> None:
    assert await refused(say, timeout_s=0.2, answer_bytes_max=2**20) == "timeout"


@pytest.mark.parametrize(
    "say",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n-----BEGIN CERT",
        chunked(b"-----BEGIN CERT", end=b""),
        chunked(b"-----BEGIN CERT", end=b"100\r\nIFICATE"),
    ],
)
async def test_an_answer_cut_short_is_none(say: bytes) -> None:
    assert await refused(say) == "cut_short"


async def test_an_answer_without_what_it_must_hold_is_none() -> None:
    for body in (b"", b"<html>Sorry</html>", b"-----BEGIN CERTIFICATE-----\ncut"):
        assert await refused(ok(body), holds=b"-----END CERTIFICATE-----") == "answer"
    whole = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    assert (await fetched(ok(whole), holds=b"-----END CERTIFICATE-----")).body == whole


@pytest.mark.parametrize("say", [b"", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"])
async def test_what_is_not_http_is_no_answer(say: bytes) -> None:
    assert await refused(say) in ("protocol", "disconnected")


async def test_a_compressed_answer_is_not_unpacked() -> None:
    assert await refused(ok(b"\x1f\x8b", "Content-Encoding: gzip")) == "encoding"


async def test_only_the_server_of_that_name_is_believed() -> None:
    async with fetcher() as ours:
        for how in ({"authority": STRANGER}, {"name": "other.example"}):
            async with server(ok(b"x"), **how) as there:
                with pytest.raises(FetchError, match="tls"):
                    await ours.fetch(Request(there.url))
                assert there.got == []


async def test_what_is_not_https_is_never_dialled() -> None:
    def never(host: str, port: int) -> None:
        raise AssertionError(host)

    async with fetcher(never) as ours:
        for url in ("http://localhost/", "HTTPS://localhost/", "file:///etc/passwd", "//localhost/", ""):
            with pytest.raises(FetchError, match="url"):
                await ours.fetch(Request(url))


async def test_an_address_that_may_not_be_reached_is_not_dialled() -> None:
    """As the daemon joins them: whatever a resolver says of PayPal's names, no private address is asked."""
    async with server(ok(b"x")) as there, fetcher(Guard().check) as ours:
        with pytest.raises(FetchError, match="blocked"):
            await ours.fetch(Request(there.url))
    assert there.got == []


async def test_nobody_there_is_no_answer() -> None:
    async with server(ok(b"x")) as there:
        url = there.url
    async with fetcher() as ours:
        with pytest.raises(FetchError, match="connect"):
            await ours.fetch(Request(url))


async def test_a_server_that_failed_may_be_asked_again() -> None:
    answers = [b"", ok(b"", status="500 Oh"), ok(b"x" * 2_000), ok(b"good")]

    async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    async with server(say) as there, fetcher() as ours:
        request = Request(there.url, body=b"x", answer_bytes_max=1_000)
        for _ in range(3):
            with pytest.raises(FetchError):
                await ours.fetch(request)
        assert (await ours.fetch(request)).body == b"good"

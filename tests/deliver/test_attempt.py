"""One attempt over real sockets: what the merchant gets, and what is made of its answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
import standardwebhooks
import trustme

from tests.application import KINDS, SECRETS, body_of, sent, source_of
from tests.making import event, spec
from webhookd.clock import SystemClock
from webhookd.core.delivery import RESPONSE_BYTES_MAX, Due, Outcome
from webhookd.core.endpoint import Endpoint, EndpointKey
from webhookd.core.event import Event
from webhookd.core.secret import Secret
from webhookd.core.signature import signing_key
from webhookd.deliver.courier import Courier
from webhookd.deliver.guard import Guard
from webhookd.deliver.http_transport import HttpTransport
from webhookd.deliver.transport import Response, Target
from webhookd.providers import sign_again

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
KEYS = (EndpointKey(signing_key(SECRET)),)
LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def unsigned(event: Event, now_s: int) -> None:
    """No source can sign."""


class Counted:
    def __init__(self) -> None:
        self.results: list[str] = []

    def attempt(self, endpoint: str, result: str, seconds: float) -> None:
        self.results.append(result)


@asynccontextmanager
async def merchant(answer: Answer, **server: Any) -> AsyncIterator[int]:
    """A socket that does as `answer` says; its port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, **server)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def request_of(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    return line, headers, await reader.readexactly(int(headers["content-length"]))


def saying(answer: bytes) -> Answer:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)
        await writer.drain()

    return say


async def attempt(url: str, due: Due | None = None, *, guard: Guard | None = None, **fields: Any) -> Outcome:
    transport = HttpTransport(guard or Guard(LOOPBACK))
    counted = Counted()
    try:
        courier = Courier(transport, SystemClock(), counted, unsigned)
        outcome = await courier.attempt(
            Endpoint(1, spec(url=url, **fields), KEYS, "active", "config"), due or Due(1, event(), 0)
        )
    finally:
        await transport.close()
    assert counted.results == [outcome.error or "succeeded"]
    return outcome


async def test_the_merchant_gets_the_providers_bytes_signed_as_standard_webhooks_has_it():
    got: list[tuple[str, dict[str, str], bytes]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await request_of(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    body = b'{"amount": 1.0,\n "name": "Z\xc3\xbcrich" }'
    sent = event(body=body, headers=[("content-type", "application/json; charset=utf-8")])
    async with merchant(take) as port:
        outcome = await attempt(f"http://127.0.0.1:{port}/hooks?shop=1", Due(1, sent, 0, attempts=2))
    assert outcome.succeeded
    [(line, headers, taken)] = got
    assert line == "POST /hooks?shop=1 HTTP/1.1"
    assert taken == body
    standardwebhooks.Webhook(SECRET).verify(taken, headers)
    expected = {
        "content-type": "application/json; charset=utf-8",
        "webhook-id": sent.id,
        "idempotency-key": sent.id,
        "webhookd-source": "stripe",
        "webhookd-provider": "stripe",
        "webhookd-event-type": "payment_intent.succeeded",
        "webhookd-delivery-id": Due(1, sent, 0).key.id,
        "webhookd-attempt": "3",
    }
    assert expected.items() <= headers.items()
    assert "webhookd-replay" not in headers
    assert "cookie" not in headers


async def test_a_replay_says_that_it_is_one():
    got = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await request_of(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with merchant(take) as port:
        await attempt(f"http://127.0.0.1:{port}/", Due(1, event(type="prüfung"), 0, replay=True))
    assert got[0][1]["webhookd-replay"] == "true"
    assert got[0][1]["webhookd-event-type"] == "pr%C3%BCfung", "headers are ASCII"


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, None),
        (b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 202, None),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, None),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, None),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 301, "redirect"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "status"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, "status"),
        (b"HTTP/1.1 500 Oh no\r\nContent-Length: 0\r\n\r\n", 500, "status"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", None, "protocol"),
        (b"this is not HTTP\r\n\r\n", None, "protocol"),
        (b"", None, "disconnected"),
    ],
)
async def test_2xx_is_success_and_everything_else_is_a_failure_with_a_word_for_it(
    answer: bytes, status: int | None, error: str | None
):
    async with merchant(saying(answer)) as port:
        outcome = await attempt(f"http://127.0.0.1:{port}/")
    assert (outcome.status, outcome.error) == (status, error)


async def test_retry_after_is_heard_in_seconds():
    async with merchant(saying(b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")) as port:
        assert (await attempt(f"http://127.0.0.1:{port}/")).retry_after_ms == 120_000


@pytest.mark.fault(29)
async def test_of_an_endless_answer_only_the_first_bytes_are_kept_and_it_ends():
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with merchant(endless) as port:
        outcome = await attempt(f"http://127.0.0.1:{port}/")
    assert outcome.succeeded
    assert 0 < len(outcome.response) <= RESPONSE_BYTES_MAX


@pytest.mark.fault(29)
async def test_a_compressed_answer_is_not_inflated():
    bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    async with merchant(saying(bomb)) as port:
        assert (await attempt(f"http://127.0.0.1:{port}/")).response == b"\x1f\x8b\x08\x00"


@pytest.mark.fault(27, 29)
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"])
async def test_a_merchant_that_does_not_finish_costs_one_timeout(head: bytes):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(head)
        await reader.read()

    async with merchant(silent) as port:
        assert (await attempt(f"http://127.0.0.1:{port}/", timeout_ms=200)).error == "timeout"


@pytest.mark.fault(27)
async def test_nobody_there_is_a_failed_connection():
    async with merchant(saying(b"")) as port:
        pass
    assert (await attempt(f"http://127.0.0.1:{port}/")).error == "connect"


@pytest.mark.fault(26)
async def test_a_name_that_leads_nowhere_is_a_dns_failure():
    assert (await attempt("http://nowhere.invalid/", allow_http=True)).error == "dns"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.1.", "0.0.0.0"])
async def test_a_closed_address_is_never_dialled_however_it_is_spelled(host: str):
    reached = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()

    async with merchant(take) as port:
        outcome = await attempt(f"http://{host}:{port}/", guard=Guard(), allow_http=True)
    assert outcome.error in ("blocked", "dns", "url", "connect")
    assert not reached.is_set()


async def test_loopback_is_blocked_and_says_so():
    async with merchant(saying(b"")) as port:
        assert (await attempt(f"http://127.0.0.1:{port}/", guard=Guard(), allow_http=True)).error == "blocked"


@pytest.mark.fault(28)
async def test_a_certificate_that_nobody_vouches_for_is_a_tls_failure():
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with merchant(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ssl=context) as port:
        assert (await attempt(f"https://localhost:{port}/")).error == "tls"


# --- Credentials that are said back


class Answering:
    """A merchant whose error page is this, or else all that it was asked with."""

    def __init__(self, page: str | None) -> None:
        self._page = page

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> Response:
        page = self._page or "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return Response(500, None, page.encode()[:RESPONSE_BYTES_MAX])

    async def close(self) -> None:
        pass


async def kept_of(page: str | None = None, kind: str = "stripe", **fields: Any) -> str:
    def again(event: Event, now_s: int) -> Mapping[str, str] | None:
        return sign_again({kind: source_of(kind)}, event, now_s)

    provider = source_of(kind)
    kept = [(name, value) for name, value in sent(kind, 1).items() if name in provider.kept_headers]
    due = Due(1, event(source=kind, provider=provider.name, headers=kept, body=body_of(kind)), 0)
    courier = Courier(Answering(page), SystemClock(), Counted(), again)
    outcome = await courier.attempt(Endpoint(1, spec(**fields), KEYS, "active", "config"), due)
    assert outcome.status == 500
    return outcome.response.decode()


TOKEN = "abc/def/0123456789"
BEARER = {"headers": (("Authorization", Secret(f"Bearer {TOKEN}")), ("X-Shop", Secret("berlin")))}


@pytest.mark.fault(53)
async def test_an_endpoints_own_credentials_are_not_kept_with_its_answer() -> None:
    kept = await kept_of(**BEARER)
    assert "authorization: ********\r\n" in kept
    assert "x-shop: berlin\r\n" in kept, "what is so short may be in any answer"
    assert "webhook-signature: v1," in kept
    for page in (TOKEN, TOKEN.replace("/", "\\/")):
        assert await kept_of(f'{{"token": "{page}"}}', **BEARER) == '{"token": "********"}'


@pytest.mark.parametrize("kind", KINDS)
async def test_a_providers_secret_that_is_sent_as_it_is_is_not_kept_with_the_answer(kind: str) -> None:
    kept = await kept_of(None, kind, signature="provider")
    assert "webhook-id: " in kept
    assert SECRETS.get(kind, "-" * 8) not in kept
    assert ("********" in kept) is (kind == "flutterwave-v3")


@pytest.mark.parametrize("left", range(8, len(TOKEN)))
async def test_nor_its_first_characters_where_the_answer_is_cut(left: int) -> None:
    page = "x" * (RESPONSE_BYTES_MAX - left) + TOKEN
    kept = await kept_of(page, **BEARER)
    assert kept == "x" * (RESPONSE_BYTES_MAX - left) + "********"


async def test_a_fault_of_our_own_is_an_outcome_and_not_a_crash():
    class Faulty:
        async def post(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("a mistake of ours")

    courier = Courier(Faulty(), SystemClock(), Counted(), unsigned)
    endpoint = Endpoint(1, spec(), KEYS, "active", "config")
    assert (await courier.attempt(endpoint, Due(1, event(), 0))).error == "internal"

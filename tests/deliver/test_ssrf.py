"""No merchant's URL, name or answer makes webhookd post to the machine it runs on.

A page on loopback counts its visits. Every trick is tried three times through the real courier and transport: as it is;
with the rules for URLs switched off, so that only the guard is left, where the socket is dialled; and with both off,
which shows that the trick works where nothing stops it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.deliver.test_attempt import KEYS, Counted, merchant, saying, unsigned
from tests.making import event, spec
from tests.running import daemon
from webhookd.clock import SystemClock
from webhookd.core.delivery import Due
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.url import DEFAULT_PORTS, Url
from webhookd.deliver.courier import Courier
from webhookd.deliver.guard import Guard
from webhookd.deliver.http_transport import HttpTransport
from webhookd.deliver.resolve import AddrInfo, LookUp, Resolver, look_up
from webhookd.outbound import scout

LIAR = "liar.example"
PUBLIC = "93.184.216.34"
"""Never dialled: a resolver says it when the endpoint is registered."""


class GuardAtTheSocket(Guard):
    """The URL is read as a browser or a simple client would read it, and not judged."""

    def check_url(self, text: str, *, allow_http: bool) -> Url:
        parts = urlsplit(text)
        scheme = "https" if parts.scheme == "https" else "http"
        host = (parts.hostname or "").encode("idna").decode()  # which makes 1 of ① on the way
        return Url(scheme, host, parts.port or DEFAULT_PORTS[scheme], parts.path or "/")


class NoGuard(GuardAtTheSocket):
    def check(self, host: str, port: int, *, plain_http: bool = False) -> None:
        pass


class SecretPage:
    def __init__(self, port: int) -> None:
        self.port = port
        self.visited: list[str] = []
        """At which address of this machine, each time."""


@pytest.fixture
async def page() -> AsyncIterator[SecretPage]:
    """On every address of this machine, IPv4 and IPv6."""
    try:
        listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        listening = socket.create_server(("0.0.0.0", 0))
    made = SecretPage(listening.getsockname()[1])

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.visited.append(writer.get_extra_info("sockname")[0].removeprefix("::ffff:"))
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        finally:
            writer.close()

    async with await asyncio.start_server(visited, sock=listening):
        yield made


def make_transport(guard: Guard, look_up: LookUp) -> HttpTransport:
    return HttpTransport(guard, look_up=look_up)


async def attempt(url: str, guard: Guard, look_up: LookUp = look_up, *, allow_http: bool = True) -> str:
    """The word for what came of it. http:// is allowed, so that it is not what stops a trick."""
    transport = make_transport(guard, look_up)
    courier = Courier(transport, SystemClock(), Counted(), unsigned)
    try:
        endpoint = Endpoint(1, spec(url=url, allow_http=allow_http), KEYS, "active", "config")
        outcome = await courier.attempt(endpoint, Due(1, event(), 0))
    finally:
        await transport.close()
    return outcome.error or "succeeded"


def lying(host: str, port: int) -> Sequence[AddrInfo]:
    """A name server in the merchant's hands."""
    return look_up("127.0.0.1" if host == LIAR else host, port)


def flipping() -> LookUp:
    """The first who asks is told a public address, everybody after that another."""
    answers = iter([PUBLIC])

    def ask(host: str, port: int) -> Sequence[AddrInfo]:
        return look_up(next(answers, "127.0.0.1"), port)

    return ask


TRICKS = {
    # what stands before the port: the words with all rules, with the guard alone, and with nothing
    "127.0.0.1": ("blocked", "blocked", "succeeded"),
    "localhost": ("blocked", "blocked", "succeeded"),
    "[::1]": ("blocked", "blocked", "succeeded"),
    "[::ffff:127.0.0.1]": ("blocked", "blocked", "succeeded"),
    "[::ffff:7f00:1]": ("blocked", "blocked", "succeeded"),
    "2130706433": ("url", "blocked", "succeeded"),
    "127.1": ("url", "blocked", "succeeded"),
    "0177.0.0.1": ("url", "blocked", "succeeded"),
    "0x7f000001": ("url", "blocked", "succeeded"),
    "①②⑦.0.0.1": ("url", "blocked", "succeeded"),
    "127.0.0.1.": ("url", "dns", "dns"),  # no resolver here takes it for an address; others do
    "0.0.0.0": ("blocked", "blocked", "succeeded"),
    "[::]": ("blocked", "blocked", "succeeded"),
    "user:pw@127.0.0.1": ("url", "blocked", "succeeded"),
    "shop.example\\@127.0.0.1": ("url", "blocked", "succeeded"),
    LIAR: ("blocked", "blocked", "succeeded"),
}


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=TRICKS)
def trick(request: pytest.FixtureRequest) -> str:
    before: str = request.param
    if before in ("[::1]", "[::]") and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    return before


async def test_no_spelling_of_this_machine_is_posted_to(trick: str, page: SecretPage):
    assert await attempt(f"http://{trick}:{page.port}/", Guard(), lying) == TRICKS[trick][0]
    assert page.visited == []


async def test_the_guard_alone_stops_them_where_the_socket_is_dialled(trick: str, page: SecretPage):
    assert await attempt(f"http://{trick}:{page.port}/", GuardAtTheSocket(), lying) == TRICKS[trick][1]
    assert page.visited == []


async def test_without_rules_and_guard_they_lead_there(trick: str, page: SecretPage):
    word = TRICKS[trick][2]
    assert await attempt(f"http://{trick}:{page.port}/", NoGuard(), lying) == word
    assert len(page.visited) == (word == "succeeded")


# --- A name that leads elsewhere later


@pytest.mark.fault(26)
@pytest.mark.parametrize(("guard", "word", "visits"), [(Guard(), "blocked", 0), (NoGuard(), "succeeded", 1)])
async def test_a_name_that_is_public_when_it_is_registered_and_not_when_it_is_dialled(
    page: SecretPage, guard: Guard, word: str, visits: int
):
    rebinding = flipping()
    url = f"http://shop.example:{page.port}/"
    registered = await scout(Resolver(rebinding), guard, None)(EndpointSpec("shop", url, allow_http=True))
    assert registered is None, "it looks well"
    assert await attempt(url, guard, rebinding) == word
    assert len(page.visited) == visits


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("guard", "at"), [(Guard([ip_network("127.0.0.2/32")]), "127.0.0.2"), (NoGuard(), "127.0.0.1")]
)
async def test_of_a_name_with_several_addresses_a_closed_one_is_passed_over(page: SecretPage, guard: Guard, at: str):
    def both(host: str, port: int) -> Sequence[AddrInfo]:
        return [*look_up("127.0.0.1", port), *look_up("127.0.0.2", port)]

    assert await attempt(f"http://shop.example:{page.port}/", guard, both) == "succeeded"
    assert page.visited == [at]


# --- An answer that leads elsewhere


@pytest.mark.fault(29)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_merchants_answer_leads_nowhere(page: SecretPage, status: int):
    there = f"http://127.0.0.1:{page.port}/"
    moved = saying(f"HTTP/1.1 {status} Moved\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode())
    async with merchant(moved) as port:
        url = f"http://127.0.0.1:{port}/"
        assert await attempt(url, Guard([ip_network("127.0.0.1/32")])) == "redirect"
        assert await attempt(url, NoGuard()) == "redirect", "it is not the guard that does this"
        assert page.visited == []
        async with aiohttp.ClientSession() as simple, simple.post(url) as response:
            assert await response.text() == "secret"
    assert page.visited == ["127.0.0.1"], "a client that follows is led there"


# --- Our own listeners


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_webhookd_does_not_post_to_itself_where_all_of_loopback_is_opened(page: SecretPage, host: str):
    guard = Guard([ip_network("0.0.0.0/0"), ip_network("::/0")])
    url = f"http://{host}:{page.port}/"
    assert await attempt(url, guard) == "succeeded"
    guard.own_ports = frozenset({page.port})
    assert await attempt(url, guard) == "blocked"
    assert len(page.visited) == 1


async def test_a_daemon_knows_its_own_listeners(tmp_path: Path):
    """Its configuration opens loopback to endpoints, and it listens on ports that it is given at start."""
    async with daemon(tmp_path) as running, aiohttp.ClientSession() as session:
        for place in (running.hooks, running.admin):
            asked = {"name": "itself", "url": f"{place}/webhooks/stripe"}
            headers = {"Authorization": f"Bearer {running.token}"}
            async with session.post(f"{running.admin}/api/v1/endpoints", json=asked, headers=headers) as response:
                assert response.status == 422
                assert "webhookd's own" in await response.text()

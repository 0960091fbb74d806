"""On the way to a connection: addresses, the guard at each of them, and what is waited for and how long."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from tests.deliver.raw import LOOPBACK, merchant, polite, post, transport, word
from tests.running import PATIENCE_S
from webhookd.deliver import dial, resolve
from webhookd.deliver.guard import BlockedAddressError, Guard
from webhookd.deliver.resolve import AddrInfo, LookUp, look_up


def leading_to(*addresses: tuple[str, int]) -> LookUp:
    """A resolver that says these whatever it is asked."""

    def say(host: str, port: int) -> Sequence[AddrInfo]:
        return [each for address in addresses for each in look_up(*address)]

    return say


@contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[str, int]]:
    """An address where nobody answers, not even with a refusal: the queue of those who want to be let in is full."""
    with socket.socket() as listening:
        listening.bind((host, port))
        listening.listen(0)
        with socket.create_connection(listening.getsockname()):
            yield listening.getsockname()


class Watching(Guard):
    """The guard of all tests here, who writes down what he is asked."""

    def __init__(self, *closed: str) -> None:
        super().__init__(LOOPBACK)
        self.asked: list[str] = []
        self._shut = closed

    def check(self, host: str, port: int, *, plain_http: bool = False) -> None:
        self.asked.append(host)
        if host in self._shut:
            raise BlockedAddressError(host)
        super().check(host, port, plain_http=plain_http)


# --- Several addresses


@pytest.mark.fault(27)
async def test_an_address_that_refuses_is_not_the_last():
    async with merchant(polite) as there:
        say = leading_to(("127.0.0.2", there.port), ("127.0.0.3", there.port), ("127.0.0.1", there.port))
        async with transport(look_up=say) as ours:
            assert (await post(ours, f"http://shop.example:{there.port}/")).body == b"1"


@pytest.mark.fault(27)
async def test_an_address_that_says_nothing_is_not_the_last():
    async with merchant(polite) as there:
        with black_hole("127.0.0.2", there.port) as nowhere:
            async with transport(look_up=leading_to(nowhere, ("127.0.0.1", there.port))) as ours:
                assert (await post(ours, f"http://shop.example:{there.port}/")).body == b"1"


@pytest.mark.fault(26)
async def test_no_more_addresses_are_tried_than_is_reasonable(monkeypatch: pytest.MonkeyPatch):
    tried: list[AddrInfo] = []

    async def start_connection(addresses: list[AddrInfo], **_: object) -> socket.socket:
        tried.extend(addresses)
        raise OSError

    monkeypatch.setattr(dial, "start_connection", start_connection)
    many = [(f"127.0.1.{number}", 9) for number in range(20)] + [("::1", 9)]
    async with transport(look_up=leading_to(*many)) as ours:
        assert await word(ours, "http://shop.example/") == "connect"
    assert [each[4][0] for each in tried] == ["127.0.1.0", "127.0.1.1", "127.0.1.2", "127.0.1.3", "::1"]


# --- Waiting


@pytest.mark.fault(27)
async def test_nobody_there_is_a_failed_connection():
    async with merchant(polite) as there:
        pass
    async with transport() as ours:
        assert await word(ours, there) == "connect"


@pytest.mark.fault(27)
async def test_nobody_who_answers_is_a_failed_connection_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dial, "CONNECT_S", 0.05)
    with black_hole() as (host, port):
        async with transport() as ours:
            assert await word(ours, f"http://{host}:{port}/") == "connect"


@pytest.mark.fault(27)
async def test_the_time_of_the_attempt_bounds_the_dial_as_well():
    with black_hole() as (host, port):
        async with transport() as ours:
            assert await word(ours, f"http://{host}:{port}/", timeout_s=0.05) == "timeout"


@pytest.mark.fault(26)
async def test_a_name_without_an_address_is_a_dns_failure():
    async with transport() as ours:
        assert await word(ours, "https://nowhere.invalid/") == "dns"


@pytest.mark.fault(26)
async def test_a_name_server_that_says_nothing_is_a_dns_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "LOOKUP_S", 0.05)
    over = threading.Event()

    def never(host: str, port: int) -> Sequence[AddrInfo]:
        over.wait(PATIENCE_S)
        return []

    async with transport(look_up=never) as ours:
        assert await word(ours, "https://shop.example/") == "dns"
        over.set()


# --- The guard


@pytest.mark.fault(26)
async def test_only_permitted_addresses_of_a_name_are_dialled():
    guard = Watching("127.0.0.2")
    async with merchant(polite, host="0.0.0.0") as there:
        say = leading_to(("127.0.0.2", there.port), ("127.0.0.1", there.port))
        async with transport(guard, look_up=say) as ours:
            assert (await post(ours, f"http://shop.example:{there.port}/")).body == b"1"
        [peer] = there.peers
        assert peer.writer.get_extra_info("sockname")[0] == "127.0.0.1"


@pytest.mark.fault(26)
async def test_a_name_that_leads_only_to_closed_addresses_is_blocked():
    async with merchant(polite, host="0.0.0.0") as there:
        say = leading_to(("127.0.0.2", there.port), ("127.0.0.3", there.port))
        async with transport(Watching("127.0.0.2", "127.0.0.3"), look_up=say) as ours:
            assert await word(ours, f"http://shop.example:{there.port}/") == "blocked"
        assert there.peers == []


@pytest.mark.fault(26)
async def test_a_name_that_leads_elsewhere_each_time_is_judged_each_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "KNOWN_S", 0)
    async with merchant(polite, host="0.0.0.0") as there:
        flips = iter(["127.0.0.1", "127.0.0.2"])
        say = lambda host, port: look_up(next(flips), there.port)  # noqa: E731
        async with transport(Watching("127.0.0.2"), look_up=say) as ours:
            other = f"http://shop.example:{there.port}/"
            assert await word(ours, other, allow_http=False) is None
            assert await word(ours, other, allow_http=True) == "blocked"
        assert len(there.peers) == 1


@pytest.mark.fault(26)
async def test_the_address_that_was_reached_is_judged_too(monkeypatch: pytest.MonkeyPatch):
    async def start_connection(addresses: list[AddrInfo], **_: object) -> socket.socket:
        connected = socket.create_connection(("127.0.0.2", addresses[0][4][1]))
        connected.setblocking(False)
        return connected

    monkeypatch.setattr(dial, "start_connection", start_connection)
    guard = Watching("127.0.0.2")
    async with merchant(polite, host="0.0.0.0") as there, transport(guard) as ours:
        assert await word(ours, there) == "blocked"
        await there.left_alone()
    assert guard.asked == ["127.0.0.1", "127.0.0.2"]


async def test_plain_http_is_for_opened_networks_unless_the_endpoint_allows_it():
    guard = Guard([ip_network("127.0.0.1/32")])
    async with merchant(polite) as there, transport(guard, look_up=leading_to(("93.184.216.34", there.port))) as ours:
        assert await word(ours, there) is None
        assert await word(ours, f"http://shop.example:{there.port}/") == "blocked"


async def test_a_listener_of_our_own_is_not_dialled():
    async with merchant(polite) as there:
        guard = Guard(LOOPBACK)
        guard.own_ports = frozenset({there.port})
        async with transport(guard) as ours:
            assert await word(ours, there) == "blocked"
        assert there.peers == []


async def test_kept_connections_are_not_judged_again():
    guard = Watching()
    async with merchant(polite) as there, transport(guard) as ours:
        for number in range(3):
            await post(ours, there, number)
    assert guard.asked == ["127.0.0.1"] * 2, "where it was dialled, and when it was reached"


async def test_eight_attempts_at_once_ask_for_the_name_once():
    asked: list[str] = []

    async with merchant(polite) as there:

        def say(host: str, port: int) -> Sequence[AddrInfo]:
            asked.append(host)
            return look_up("127.0.0.1", there.port)

        async with transport(look_up=say) as ours:
            await asyncio.gather(*(post(ours, f"http://shop.example:{there.port}/", number) for number in range(8)))
    assert asked == ["shop.example"]

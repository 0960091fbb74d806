"""From names to addresses: asked once, remembered a while, and no slow name server keeps another name waiting."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from tests.running import PATIENCE_S
from webhookd.deliver import resolve
from webhookd.deliver.resolve import AddrInfo, Resolver, UnknownNameError, as_number, look_up

ADDRESS: list[AddrInfo] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


class NameServer:
    """Counts questions; answers those about `slow` names when it is told to."""

    def __init__(self, *slow: str) -> None:
        self.asked: list[str] = []
        self.answer: Sequence[AddrInfo] | Exception = ADDRESS
        self.let_go = threading.Event()
        self._slow = slow

    def __call__(self, host: str, port: int) -> Sequence[AddrInfo]:
        self.asked.append(host)
        if host in self._slow:
            assert self.let_go.wait(PATIENCE_S)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_a_name_is_asked_for_once_by_all_who_need_it():
    server = NameServer("shop.example")
    resolver = Resolver(server)
    waiting = [asyncio.create_task(resolver.resolve("shop.example", 443)) for _ in range(5)]
    while not server.asked:
        await asyncio.sleep(0)
    server.let_go.set()
    assert await asyncio.gather(*waiting) == [ADDRESS] * 5
    assert await resolver.resolve("shop.example", 443) == ADDRESS
    assert server.asked == ["shop.example"]


async def test_what_is_known_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "KNOWN_S", 0)
    server = NameServer()
    resolver = Resolver(server)
    for _ in range(2):
        await resolver.resolve("shop.example", 443)
    assert server.asked == ["shop.example"] * 2


async def test_no_more_names_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "KNOWN_MAX", 2)
    server = NameServer()
    resolver = Resolver(server)
    for name in "abc":
        await resolver.resolve(name, 443)
    for name in "cba":
        await resolver.resolve(name, 443)
    assert server.asked == ["a", "b", "c", "a"]
    assert len(resolver._known) == 2


async def test_a_failure_is_not_remembered():
    server = NameServer()
    resolver = Resolver(server)
    server.answer = socket.gaierror(socket.EAI_NONAME, "no such name")
    with pytest.raises(UnknownNameError):
        await resolver.resolve("shop.example", 443)
    server.answer = ADDRESS
    assert await resolver.resolve("shop.example", 443) == ADDRESS


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 64 + ".example", "a..b", "\udcff"])
async def test_what_is_no_name_has_no_address(name: str):
    with pytest.raises(UnknownNameError):
        await Resolver().resolve(name, 443)


async def test_a_slow_name_server_keeps_only_its_own_names_waiting(monkeypatch: pytest.MonkeyPatch):
    slow = [f"slow{number}.example" for number in range(8)]  # more than asyncio or uvloop would have threads for
    server = NameServer(*slow)
    resolver = Resolver(server)
    waiting = [asyncio.create_task(resolver.resolve(name, 443)) for name in slow]
    while len(server.asked) < len(slow):
        await asyncio.sleep(0)
    assert await resolver.resolve("shop.example", 443) == ADDRESS
    assert not any(each.done() for each in waiting)
    server.let_go.set()
    await asyncio.gather(*waiting)


async def test_a_name_that_nobody_says_in_time_is_not_known_and_holds_one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "LOOKUP_S", 0.01)
    server = NameServer("slow.example")
    resolver = Resolver(server)
    for _ in range(3):
        with pytest.raises(UnknownNameError):
            await resolver.resolve("slow.example", 443)
    assert server.asked == ["slow.example"]
    server.let_go.set()
    resolver.close()


async def test_only_so_many_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "LOOKUPS_MAX", 2)
    server = NameServer("a", "b")
    resolver = Resolver(server)
    waiting = [asyncio.create_task(resolver.resolve(name, 443)) for name in "abcd"]
    while len(server.asked) < 2:
        await asyncio.sleep(0)
    assert server.asked == ["a", "b"]
    server.let_go.set()
    await asyncio.gather(*waiting)
    assert sorted(server.asked) == ["a", "b", "c", "d"]


async def test_closing_ends_the_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resolve, "LOOKUP_S", 3_600)
    server = NameServer("slow.example")
    resolver = Resolver(server)
    waiting = asyncio.create_task(resolver.resolve("slow.example", 443))
    while not server.asked:
        await asyncio.sleep(0)
    resolver.close()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(UnknownNameError):
            await waiting
    server.let_go.set()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *((host, "127.0.0.1") for host in ("127.0.0.1", "2130706433", "0x7f000001", "127.1", "0177.0.0.1")),
        *(("::1", "::1"), ("::ffff:127.0.0.1", "::ffff:127.0.0.1"), ("①27.0.0.1", "127.0.0.1")),
    ],
)
async def test_an_address_in_any_spelling_is_known_without_asking(host: str, address: str):
    server = NameServer()
    assert [each[4][0] for each in as_number(host, 443)] == [address]
    assert [each[4][0] for each in await Resolver(server).resolve(host, 443)] == [address]
    assert server.asked == []


def test_the_resolver_of_the_system_knows_localhost():
    assert {each[4][0] for each in look_up("localhost", 443)} <= {"127.0.0.1", "::1"}
    assert as_number("localhost", 443) == []

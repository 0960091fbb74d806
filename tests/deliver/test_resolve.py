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
MOVED: list[AddrInfo] = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 443, 0, 0))]


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


@pytest.mark.fault(26)
async def test_a_failure_is_not_remembered():
    server = NameServer()
    resolver = Resolver(server)
    server.answer = socket.gaierror(socket.EAI_NONAME, "no such name")
    with pytest.raises(UnknownNameError):
        await resolver.resolve("shop.example", 443)
    server.answer = ADDRESS
    assert await resolver.resolve("shop.example", 443) == ADDRESS


# --- A name server that fails


async def old_answer(server: NameServer, monkeypatch: pytest.MonkeyPatch, *, age_s: float = 0) -> Resolver:
    """A resolver that knows shop.example from long enough ago to ask again."""
    monkeypatch.setattr(resolve, "KNOWN_S", 0)
    monkeypatch.setattr(resolve, "LATE_S", 0.01)
    resolver = Resolver(server)
    await resolver.resolve("shop.example", 443)
    learnt_at, addresses = resolver._known["shop.example"]
    resolver._known["shop.example"] = (learnt_at - age_s, addresses)
    return resolver


@pytest.mark.fault(26)
@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_AGAIN, "try again"), []])
async def test_while_it_fails_the_addresses_that_were_good_are_used(
    monkeypatch: pytest.MonkeyPatch, answer: Sequence[AddrInfo] | Exception
):
    server = NameServer()
    resolver = await old_answer(server, monkeypatch, age_s=resolve.STALE_S - 60)
    server.answer = answer
    assert await resolver.resolve("shop.example", 443) == ADDRESS
    assert server.asked == ["shop.example"] * 2
    server.answer = MOVED
    assert await resolver.resolve("shop.example", 443) == MOVED, "the newest is the one that holds"


@pytest.mark.fault(26)
async def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch):
    server = NameServer()
    resolver = await old_answer(server, monkeypatch, age_s=resolve.STALE_S)
    server.answer = socket.gaierror(socket.EAI_AGAIN, "try again")
    with pytest.raises(UnknownNameError):
        await resolver.resolve("shop.example", 443)


@pytest.mark.fault(26)
async def test_names_that_nobody_answers_for_keep_none_from_where_it_went_before(monkeypatch: pytest.MonkeyPatch):
    silent = [f"silent{number}.example" for number in range(resolve.LOOKUPS_MAX)]
    server = NameServer(*silent)
    resolver = await old_answer(server, monkeypatch)
    waiting = [asyncio.create_task(resolver.resolve(name, 443)) for name in silent]
    while len(server.asked) < 1 + len(silent):
        await asyncio.sleep(0)
    assert await resolver.resolve("shop.example", 443) == ADDRESS
    server.let_go.set()
    await asyncio.gather(*waiting)


async def test_what_is_too_old_leaves_with_the_next_that_is_learnt(monkeypatch: pytest.MonkeyPatch):
    resolver = await old_answer(NameServer(), monkeypatch, age_s=resolve.STALE_S + 60)
    await resolver.resolve("another.example", 443)
    assert resolver._known.keys() == {"another.example"}


# --- What is made of an answer


async def test_a_name_is_asked_for_once_whatever_the_port():
    server = NameServer("shop.example")
    resolver = Resolver(server)
    waiting = [asyncio.create_task(resolver.resolve("shop.example", port)) for port in (443, 8443)]
    while not server.asked:
        await asyncio.sleep(0)
    server.let_go.set()
    assert [each[0][4] for each in await asyncio.gather(*waiting)] == [("192.0.2.1", 443), ("192.0.2.1", 8443)]
    assert (await resolver.resolve("shop.example", 9443))[0][4] == ("192.0.2.1", 9443)
    assert server.asked == ["shop.example"]


@pytest.mark.fault(26)
async def test_of_thousands_of_addresses_the_first_of_each_family_are_taken():
    server = NameServer()
    four: list[AddrInfo] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 443)) for n in range(99)]
    six: list[AddrInfo] = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"2001:db8::{n}", 443, 0, 0)) for n in range(99)
    ]
    server.answer = [*four, *six]
    resolver = Resolver(server)
    for _ in range(2):
        assert await resolver.resolve("shop.example", 443) == [*four[:16], *six[:16]]


@pytest.mark.fault(26)
@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 64 + ".example", "a..b", "\udcff"])
async def test_what_is_no_name_has_no_address(name: str):
    with pytest.raises(UnknownNameError):
        await Resolver().resolve(name, 443)


@pytest.mark.fault(26)
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


@pytest.mark.fault(26)
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


@pytest.mark.fault(26)
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

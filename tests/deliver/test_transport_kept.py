"""Connections that are kept for the next request: how long they are trusted, and what comes of losing one."""

import asyncio
import os
import socket
from typing import Any

import pytest
import trustme

from tests.deliver.raw import (
    NOTHING,
    Merchant,
    Peer,
    merchant,
    polite,
    post,
    saying,
    served_by,
    transport,
    trusting,
    word,
)
from tests.running import PATIENCE_S
from webhookd.core.endpoint import ClientTls
from webhookd.deliver import connection, pool
from webhookd.deliver.connection import Connection

AUTHORITY = trustme.CA()


async def settled() -> None:
    """The loop has been told what is in the sockets of this process."""
    for _ in range(50):
        await asyncio.sleep(0)


def close_at_once(peer: Peer) -> None:
    """The merchant's kernel ends the connection in both directions, between two steps of the loop."""
    with socket.socket(fileno=os.dup(peer.writer.get_extra_info("socket").fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def closing_when_used_again(monkeypatch: pytest.MonkeyPatch, there: Merchant) -> None:
    """The peer closes when we have looked at a kept connection for the last time, and not written to it yet."""
    still_good = Connection.still_good

    def then_closed(self: Connection) -> bool:
        good = still_good(self)
        assert good
        close_at_once(there.peers[0])
        return good

    monkeypatch.setattr(Connection, "still_good", then_closed)


async def test_the_connection_used_last_is_used_first():
    async with merchant(polite) as there, transport() as ours:
        await asyncio.gather(*(post(ours, there, number) for number in range(3)))
        for number in range(5):
            await post(ours, there, number)
        assert sorted(there.requests) == [1, 1, 6]


# --- Lost at the wrong moment


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return request.param


def where(there: Merchant, secure: bool) -> tuple[str, ClientTls | None]:
    scheme, tls = ("https", trusting(AUTHORITY)) if secure else ("http", None)
    return f"{scheme}://localhost:{there.port}/", tls


@pytest.mark.parametrize("heard", [False, True])
async def test_one_that_was_closed_while_it_was_idle_is_not_used(heard: bool, secure: bool):
    """`heard`: the loop knows of it; else only the kernel does."""
    async with merchant(polite, ssl=served_by(AUTHORITY) if secure else None) as there, transport() as ours:
        url, tls = where(there, secure)
        for number in range(3):
            assert (await post(ours, url, number, tls=tls)).body == b"%d" % number
            close_at_once(there.peers[-1])
            if heard:
                await there.left_alone()
                await settled()
                assert not ours._pool._idle
        assert there.requests == [1, 1, 1]


@pytest.mark.fault(27)
async def test_one_that_is_closed_while_we_write_is_replaced_and_the_request_arrives_once(
    monkeypatch: pytest.MonkeyPatch,
):
    async with merchant(polite) as there, transport() as ours:
        await post(ours, there, 1)
        closing_when_used_again(monkeypatch, there)
        assert (await post(ours, there, 2)).body == b"2"
        assert there.requests == [1, 1]


async def test_nothing_is_sent_again_where_the_kernel_cannot_be_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "wire", lambda _: None)
    async with merchant(polite) as there, transport() as ours:
        await post(ours, there, 1)
        closing_when_used_again(monkeypatch, there)
        assert await word(ours, there, 2) == "disconnected"
        assert there.requests == [1]


@pytest.mark.fault(30)
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_merchant_that_took_the_request_and_died_over_it_does_not_get_it_twice(how: str, secure: bool):
    async def dies(peer: Peer) -> None:
        await peer.request()
        await peer.say(NOTHING)
        await peer.request()
        if how == "reset":
            peer.reset()

    async with merchant(dies, ssl=served_by(AUTHORITY) if secure else None) as there, transport() as ours:
        url, tls = where(there, secure)
        await post(ours, url, 1, tls=tls)
        assert await word(ours, url, 2, tls=tls) == "disconnected"
        assert there.requests == [2]


@pytest.mark.fault(30)
@pytest.mark.parametrize(("start", "expected"), [(b"", None), (b"HTTP/1.1 5", "disconnected")])
async def test_a_request_that_was_not_taken_whole_is_sent_again_unless_an_answer_began(
    start: bytes, expected: str | None
):
    async def says_goodbye(peer: Peer) -> None:
        await peer.request()
        await peer.say(NOTHING)
        if peer.number == 1:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.say(start)
            peer.writer.write_eof()
        await over.wait()

    over = asyncio.Event()
    async with merchant(says_goodbye, limit=4_096) as there, transport() as ours:
        await post(ours, there, 1)
        assert await word(ours, there, 2, body=bytes(8_000_000)) == expected
        assert there.requests == ([1, 1] if expected is None else [1])
        over.set()


@pytest.mark.fault(27)
async def test_a_fresh_one_that_ends_without_an_answer_is_a_failed_attempt():
    async def hangs_up(peer: Peer) -> None:
        pass

    async with merchant(hangs_up) as there, transport() as ours:
        assert await word(ours, there) == "disconnected"
        assert len(there.peers) == 1


async def test_one_that_speaks_unasked_is_closed(monkeypatch: pytest.MonkeyPatch):
    async def talks(peer: Peer) -> None:
        await peer.request()
        await peer.say(NOTHING)
        await asked.wait()
        await peer.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.hung_up()

    monkeypatch.setattr(pool, "SWEEP_S", 3_600)
    asked = asyncio.Event()
    async with merchant(talks) as there, transport() as ours:
        assert (await post(ours, there)).status == 200
        asked.set()
        await there.left_alone()
        assert (await post(ours, there)).status == 200
        assert there.requests == [1, 1]


async def test_an_answer_that_nobody_asked_for_is_not_the_next_ones(secure: bool):
    """It has come, and the loop does not know of it yet."""
    async with merchant(polite, ssl=served_by(AUTHORITY) if secure else None) as there, transport() as ours:
        url, tls = where(there, secure)
        assert (await post(ours, url, 1, tls=tls)).body == b"1"
        with socket.socket(fileno=os.dup(there.peers[0].writer.get_extra_info("socket").fileno())) as same:
            same.sendall(NOTHING)
        assert (await post(ours, url, 2, tls=tls)).body == b"2"
        assert there.requests == [1, 1]


# --- How long, and how many


class LateLoop:
    """The loop, at a time that a test says."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)


@pytest.mark.parametrize(
    ("header", "kept_s"),
    [
        (b"", 4.0),
        (b"Keep-Alive: timeout=5, max=100\r\n", 4.0),
        (b"Keep-Alive: timeout=20\r\n", 16.0),
        (b"Keep-Alive: timeout=1\r\n", 0.8),
        (b"Keep-Alive: timeout=999999\r\n", 30.0),
    ],
)
async def test_one_is_trusted_for_less_time_than_its_peer_keeps_it(
    monkeypatch: pytest.MonkeyPatch, header: bytes, kept_s: float
):
    monkeypatch.setattr(pool, "SWEEP_S", 3_600)
    answer = b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % header
    async with merchant(saying(answer)) as there, transport() as ours:
        await post(ours, there)
        [kept] = ours._pool._idle
        late = kept._loop = LateLoop(kept.kept_until - kept_s / 2)
        await post(ours, there)
        assert kept.kept_until == pytest.approx(late.now + kept_s)
        late.now = kept.kept_until - 0.01
        await post(ours, there)
        assert there.requests == [3]
        late.now = kept.kept_until
        await post(ours, there)
        assert there.requests == [3, 1]
        await there.left_alone(but=1)


async def test_the_deadline_of_one_attempt_does_not_end_the_next():
    async with merchant(polite) as there, transport() as ours:
        for number in range(2):
            over = asyncio.Event()
            asyncio.get_running_loop().call_later(0.06, over.set)
            await post(ours, there, number, timeout_s=0.05)
            await over.wait()
        assert there.requests == [2]


async def answers_once_and_falls_silent(peer: Peer) -> None:
    await peer.request()
    await peer.say(NOTHING)
    await peer.request()
    await peer.hung_up()


async def test_an_attempt_with_less_time_than_the_one_before_has_no_more_than_that():
    async with merchant(answers_once_and_falls_silent) as there, transport() as ours:
        await post(ours, there, timeout_s=3_600)
        async with asyncio.timeout(PATIENCE_S):
            assert await word(ours, there, timeout_s=0.05) == "timeout"
        assert there.requests == [2]


async def test_the_deadline_of_one_attempt_does_not_end_the_next_while_it_waits_nor_give_it_more_time():
    async with merchant(answers_once_and_falls_silent) as there, transport() as ours:
        await post(ours, there)
        [kept] = ours._pool._idle
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(word(ours, there, timeout_s=0.2))
        await asyncio.sleep(0)
        kept._timer.cancel()
        kept._rings_at = began  # as if the one before had had until now
        kept._ring()
        async with asyncio.timeout(PATIENCE_S):
            assert await waiting == "timeout"
        assert asyncio.get_running_loop().time() - began > 0.19
        assert there.requests == [2]


async def test_one_that_nobody_needs_is_closed_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "KEPT_S", 0.05)
    monkeypatch.setattr(pool, "SWEEP_S", 0.01)
    async with merchant(polite) as there, transport() as ours:
        await asyncio.gather(*(post(ours, there, number) for number in range(3)))
        await there.left_alone()
        await post(ours, there)  # and the sweeper sweeps again
        await there.left_alone()


async def test_an_origin_keeps_only_so_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool, "IDLE_PER_ORIGIN_MAX", 2)
    async with merchant(polite) as there, transport() as ours:
        await asyncio.gather(*(post(ours, there, number) for number in range(5)))
        await asyncio.gather(*(post(ours, there, number) for number in range(5)))
        assert sorted(there.requests) == [1, 1, 1, 1, 1, 1, 2, 2]


async def test_all_together_keep_only_so_many_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool, "IDLE_MAX", 2)
    async with merchant(polite) as a, merchant(polite) as b, merchant(polite) as c, transport() as ours:
        for each in (a, b, a, c):
            await post(ours, each)
        await b.left_alone()
        for each in (a, c):
            await post(ours, each)
        assert (a.requests, b.requests, c.requests) == ([3], [1], [2])


@pytest.mark.parametrize("bound", ["IDLE_MAX", "IDLE_PER_ORIGIN_MAX"])
async def test_the_only_one_kept_may_be_the_one_that_has_to_go(monkeypatch: pytest.MonkeyPatch, bound: str):
    monkeypatch.setattr(pool, bound, 1)
    async with merchant(polite) as there, transport() as ours:
        for _ in range(2):
            responses = await asyncio.gather(*(post(ours, there, number) for number in range(3)))
            assert [each.body for each in responses] == [b"0", b"1", b"2"]
        assert len(there.peers) == 5


async def test_one_is_not_used_on_other_terms_than_it_was_dialled_on():
    async with merchant(polite) as there, transport() as ours:
        for _ in range(2):
            await post(ours, there, allow_http=False)
            await post(ours, there, allow_http=True)
            await post(ours, f"http://localhost:{there.port}/", allow_http=True)
        assert there.requests == [2, 2, 2]


async def test_one_is_not_used_with_other_certificates():
    ours_too = trusting(AUTHORITY, AUTHORITY.issue_cert("us.example"))
    async with merchant(polite, ssl=served_by(AUTHORITY)) as there, transport() as ours:
        url = f"https://localhost:{there.port}/"
        for _ in range(2):
            await post(ours, url, tls=trusting(AUTHORITY))
            await post(ours, url, tls=ours_too)
            assert await word(ours, url, tls=trusting(trustme.CA())) == "tls"
        assert there.requests == [2, 2]

"""One POST and its answer over real sockets, with merchants that are anything but polite."""

import asyncio
import gzip
import time
from typing import Any

import pytest

from tests.deliver.raw import (
    NOTHING,
    Peer,
    merchant,
    polite,
    post,
    saying,
    saying_once,
    transport,
    word,
)
from webhookd.core.delivery import RESPONSE_BYTES_MAX
from webhookd.deliver.dial import Dialler
from webhookd.deliver.guard import Guard
from webhookd.deliver.transport import Target


def stand_still(seconds: float) -> None:
    """The whole process, as when it is stopped."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


LARGE = bytes(range(256)) * 32_768
"""8 MiB: more than the sockets between two processes hold."""


async def test_the_request_is_what_it_should_be_to_the_byte():
    got: list[bytes] = []

    async def serve(peer: Peer) -> None:
        got.append(await peer.reader.readuntil(b"{}"))
        await peer.say(NOTHING)

    async with merchant(serve) as there, transport() as ours:
        url = f"http://127.0.0.1:{there.port}/a/b?c=%20&d"
        await ours.post(Target(url), {"webhook-id": "1", "content-type": "text/plain; x=\udcff"}, b"{}", timeout_s=30)
    assert got == [
        b"POST /a/b?c=%%20&d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nwebhook-id: 1\r\ncontent-type: text/plain; x=\xff\r\n"
        b"Content-Length: 2\r\n\r\n{}" % there.port
    ]


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_bring_another_one_with_it(value: str):
    async with merchant(polite) as there, transport() as ours:
        with pytest.raises(ValueError, match="line break"):
            await ours.post(Target(f"http://127.0.0.1:{there.port}/"), {"x": value}, b"", timeout_s=30)
    assert there.peers == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        *((url, "url") for url in ("", "shop.example", "ftp://127.0.0.1/", "http://", "http://u:p@127.0.0.1/")),
        *(
            (url, "url")
            for url in ("http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1/#a", "http://[x/")
        ),
        *((url, "blocked") for url in ("http://shop.example/", "http://93.184.216.34/", "https://127.0.0.1:22/")),
    ],
)
async def test_the_url_is_judged_before_anything_is_dialled(url: str, expected: str):
    async with transport(Guard()) as ours:
        assert await word(ours, url) == expected


@pytest.mark.parametrize(
    ("pieces", "body", "reused"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", b"\r\n", b"o", b"k"], b"ok", True),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n0\r\nX: y\r\n\r\n"], b"ok", True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok", True),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", True),
        ([b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"], b"ok", True),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok", False),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"], b"ok", False),
        ([b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok"], b"ok", False),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"], b"ok", False),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x" * 5_000], b"x" * RESPONSE_BYTES_MAX, False),
    ],
)
async def test_a_connection_is_used_again_if_the_answer_left_it_so(pieces: list[bytes], body: bytes, reused: bool):
    async with merchant(saying(*pieces)) as there, transport() as ours:
        for _ in range(3):
            assert (await post(ours, there)).body == body
        assert there.requests == ([3] if reused else [1, 1, 1])


async def test_an_answer_may_come_byte_by_byte():
    answer = b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with merchant(saying(*[answer[at : at + 1] for at in range(len(answer))])) as there, transport() as ours:
        for _ in range(2):
            response = await post(ours, there)
            assert (response.status, response.retry_after, response.body) == (200, "7", b"ok")
        assert there.requests == [2]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_without_a_length_lasts_until_the_end(version: bytes):
    async with (
        merchant(saying_once(b"HTTP/%b 200 OK\r\n\r\n" % version, b"until ", b"the end")) as there,
        transport() as ours,
    ):
        assert (await post(ours, there)).body == b"until the end"


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + NOTHING,
        b"this is not HTTP\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"\0" * 100_000,
    ],
)
async def test_what_is_no_http_costs_one_attempt_and_the_connection(answer: bytes):
    async with merchant(saying(answer)) as there, transport() as ours:
        assert await word(ours, there) == "protocol"
        await there.left_alone()


@pytest.mark.fault(29)
async def test_of_an_endless_body_the_first_bytes_are_kept_and_the_connection_ends():
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.say(b"x" * 65_536)

    async with merchant(endless) as there, transport() as ours:
        assert (await post(ours, there)).body == b"x" * RESPONSE_BYTES_MAX
        await there.left_alone()


@pytest.mark.fault(29)
async def test_endless_framing_around_no_body_ends_too():
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        while True:
            await peer.say(b"x" * 65_536)

    async with merchant(endless) as there, transport() as ours:
        assert (await post(ours, there)).status == 200
        await there.left_alone()


@pytest.mark.fault(29)
async def test_a_compressed_answer_is_not_inflated():
    bomb = gzip.compress(b"\0" * 20_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with merchant(saying(head + bomb)) as there, transport() as ours:
        assert (await post(ours, there)).body == bomb[:RESPONSE_BYTES_MAX]


@pytest.mark.fault(29)
async def test_a_redirect_is_an_answer_and_nobody_goes_there():
    async with merchant(polite) as elsewhere, transport() as ours:
        found = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n"
        async with merchant(saying(found % elsewhere.port)) as there:
            assert (await post(ours, there)).status == 307
        assert elsewhere.peers == []


@pytest.mark.fault(27, 30)
@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_an_answer_that_is_cut_short_is_none(start: bytes, how: str):
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(start)
        if how == "reset":
            peer.reset()

    async with merchant(serve) as there, transport() as ours:
        assert await word(ours, there) == "disconnected"
        assert there.requests == [1], "whoever took it is not asked again"


@pytest.mark.fault(27)
async def test_a_reset_does_not_complete_an_answer_without_a_length():
    """Unlike the end of a stream, it may have swallowed a part of it."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await heard.wait()
        peer.reset()

    heard = asyncio.Event()
    async with merchant(serve) as there, transport() as ours:
        posted = asyncio.create_task(word(ours, there))
        await there.visited(1)
        while not any(each._reader._head_read for each in ours._pool._open):
            await asyncio.sleep(0)
        heard.set()
        assert await posted == "disconnected"


@pytest.mark.fault(27)
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"])
async def test_silence_costs_the_time_of_one_attempt_and_the_connection(start: bytes):
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.say(start)
        await peer.hung_up()

    async with merchant(silent) as there, transport() as ours:
        assert await word(ours, there, timeout_s=0.1) == "timeout"
        await there.left_alone()


@pytest.mark.fault(29)
async def test_a_trickle_does_not_buy_time():
    async def trickle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.01)

    async with merchant(trickle) as there, transport() as ours:
        assert await word(ours, there, timeout_s=0.2) == "timeout"
        await there.left_alone()


@pytest.mark.fault(23)
async def test_time_for_which_the_process_stood_still_is_not_the_merchants():
    async def late(peer: Peer) -> None:
        await peer.request()
        stand_still(0.4)
        await asyncio.sleep(0.05)
        await peer.say(NOTHING)

    async with merchant(late) as there, transport() as ours:
        assert (await post(ours, there, timeout_s=0.2)).status == 200


@pytest.mark.fault(23)
async def test_a_dial_during_which_the_process_stood_still_is_made_again(monkeypatch: pytest.MonkeyPatch):
    dial, dials = Dialler.dial, 0

    async def slow(dialler: Dialler, *given: Any) -> Any:
        nonlocal dials
        dials += 1
        if dials == 1:
            stand_still(0.4)
            await asyncio.sleep(0.05)
        return await dial(dialler, *given)

    monkeypatch.setattr(Dialler, "dial", slow)
    async with merchant(polite) as there, transport() as ours:
        assert (await post(ours, there, timeout_s=0.2)).status == 200
    assert dials == 2


async def test_a_large_body_goes_to_a_slow_reader_whole():
    got: list[bytes] = []

    async def slow(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        while sum(map(len, got)) < len(LARGE):
            got.append(await peer.reader.read(30_011))
        await peer.say(NOTHING)

    async with merchant(slow, limit=4_096) as there, transport() as ours:
        assert (await post(ours, there, body=LARGE)).status == 200
    assert b"".join(got) == LARGE


async def test_an_answer_to_what_is_not_written_yet_is_taken_and_the_connection_ends():
    async def early(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        answered.set()
        await posted.wait()
        await peer.hung_up()

    answered, posted = asyncio.Event(), asyncio.Event()
    async with merchant(early, limit=4_096) as there, transport() as ours:
        for count in (1, 2):
            response = await post(ours, there, body=LARGE)
            assert (response.status, response.body) == (413, b"no")
            assert len(there.peers) == count
        posted.set()
        await there.left_alone()


async def test_an_answer_to_nothing_is_taken_for_the_first_request():
    """An overloaded server may say so to everybody whom it lets in, and hang up."""

    async def eager(peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await peer.hung_up()

    async with merchant(eager) as there, transport() as ours:
        assert (await post(ours, there)).status == 503


async def test_many_at_once_each_get_their_own_answer():
    async with merchant(polite) as there, transport() as ours:
        for _ in range(3):
            responses = await asyncio.gather(*(post(ours, there, number) for number in range(20)))
            assert [int(each.body) for each in responses] == list(range(20))
        assert len(there.peers) == 20

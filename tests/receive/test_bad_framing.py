"""Bad-input catalogue, rows 24 to 32 and 34 to 44: bodies that are too long, broken, or not as they were signed."""

import gzip
import json
import zlib

import pytest

from tests.receive.wire import (
    ask,
    assert_problem,
    chunked,
    event,
    event_of_size,
    head,
    new_address,
    post,
    stripe,
    wire,
)
from tests.running import RunningDaemon

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.fault(51)]

HOOK = "POST /webhooks/stripe HTTP/1.1"
CHUNKED = {"Transfer-Encoding": "chunked"}
LIMIT = 2**20


async def test_a_body_longer_than_the_limit_is_refused_before_it_is_read(receiver: RunningDaemon) -> None:
    """Row 24: a thousand megabytes are announced, and not one byte of them is sent."""
    answer = await ask(receiver.port, head(HOOK, {"Content-Length": str(10**9)}))
    assert_problem(answer, 413)
    assert answer.headers["connection"] == "close"


async def test_a_length_over_the_limit_is_not_invited(receiver: RunningDaemon) -> None:
    """Rows 24 and 39: no 100 Continue for what will be refused."""
    answer = await ask(receiver.port, head(HOOK, {"Content-Length": str(LIMIT + 1), "Expect": "100-continue"}))
    assert_problem(answer, 413)


@pytest.mark.parametrize("framing", ["length", "chunks", "one chunk"])
async def test_a_body_of_exactly_the_limit_is_taken(receiver: RunningDaemon, framing: str) -> None:
    """Row 25."""
    body = event_of_size(f"evt_limit_{framing}", LIMIT)
    assert len(body) == LIMIT
    signed = stripe(body)
    if framing == "length":
        answer = await ask(receiver.port, post("stripe", body, signed))
    elif framing == "chunks":
        pieces = [body[at : at + 7_919] for at in range(0, len(body), 7_919)]
        answer = await ask(receiver.port, head(HOOK, {**CHUNKED, **signed}) + chunked(*pieces))
    else:
        answer = await ask(receiver.port, head(HOOK, {**CHUNKED, **signed}) + chunked(body))
    assert answer.json()["status"] == "accepted"


async def test_one_byte_over_the_limit_is_too_much(receiver: RunningDaemon) -> None:
    """Row 25: even when it is rightly signed."""
    body = event_of_size("evt_over_the_limit", LIMIT + 1)
    answer = await ask(receiver.port, head(HOOK, {"Content-Length": str(len(body)), **stripe(body)}))
    assert_problem(answer, 413)


async def test_chunks_are_counted_and_refused_before_the_last_one(receiver: RunningDaemon) -> None:
    """Row 26: the end of the body is never sent, and the answer comes all the same."""
    async with wire(receiver.port) as connection:
        await connection.send(head(HOOK, CHUNKED), b"%x\r\n" % (LIMIT + 1), b"x" * (LIMIT + 1))
        answer = await connection.answer()
    assert_problem(answer, 413)
    assert answer.headers["connection"] == "close"


async def test_bytes_without_a_length_are_no_body(receiver: RunningDaemon) -> None:
    """Row 27."""
    assert_problem(await ask(receiver.port, head(HOOK) + b'{"id": "evt_x"}', address=new_address()), 400)


BROKEN_CHUNKS = [
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"F" * 17 + b"\r\n{}",
    b"-2\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}xx0\r\n\r\n",
    b"2\n{}\n0\n\n",
    b"2\r\n{}\r\n0\r\nnot a trailer\r\n\r\n",
]


@pytest.mark.parametrize("body", BROKEN_CHUNKS)
async def test_a_broken_chunk_is_refused(receiver: RunningDaemon, body: bytes) -> None:
    """Row 32."""
    assert_problem(await ask(receiver.port, head(HOOK, CHUNKED) + body), 400)


@pytest.mark.parametrize("body", BROKEN_CHUNKS)
async def test_a_broken_chunk_is_refused_at_once_when_it_is_already_waited_for(
    receiver: RunningDaemon, body: bytes
) -> None:
    """Row 32: the 100 Continue shows that the body is being read by then. It must not wait for its deadline."""
    async with wire(receiver.port) as connection:
        await connection.send(head(HOOK, {**CHUNKED, "Expect": "100-continue"}))
        assert (await connection.answer()).status == 100
        await connection.send(body)
        assert_problem(await connection.answer(), 400)
        assert await connection.rest() == b""


@pytest.mark.parametrize("sent", [b"10\r\n{}", b"2\r\n{}\r\n", b""])
async def test_a_body_cut_short_is_not_acknowledged(receiver: RunningDaemon, sent: bytes) -> None:
    """Row 32: the connection ends in the middle; so it does for a body with a length."""
    for request in (head(HOOK, {**CHUNKED, **stripe(b"{}")}), head(HOOK, {"Content-Length": "20", **stripe(b"{}")})):
        async with wire(receiver.port, new_address()) as connection:
            await connection.send(request, sent)
            connection.end()
            assert b"HTTP/1.1 200" not in await connection.rest()


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip,chunked", "deflate, gzip, chunked", "x, chunked"])
async def test_a_transfer_coding_beside_chunked_is_not_implemented(receiver: RunningDaemon, coding: str) -> None:
    """Row 34."""
    body = gzip.compress(event("evt_row_34"))
    answer = await ask(receiver.port, head(HOOK, {"Transfer-Encoding": coding, **stripe(body)}) + chunked(body))
    assert_problem(answer, 501)


async def test_a_sender_that_asks_whether_to_go_on_is_told_so(receiver: RunningDaemon) -> None:
    """Row 39."""
    body = event("evt_row_39")
    async with wire(receiver.port) as connection:
        headers = {"Content-Length": str(len(body)), "Expect": "100-continue", **stripe(body)}
        await connection.send(head(HOOK, headers))
        assert (await connection.answer()).status == 100
        await connection.send(body)
        answer = await connection.answer()
        assert answer.status == 200
        assert answer.json()["status"] == "accepted"
        await connection.send(head("GET /healthz HTTP/1.1"))
        assert (await connection.answer()).status == 200


async def test_no_other_expectation_is_met(receiver: RunningDaemon) -> None:
    """Row 39."""
    assert_problem(await ask(receiver.port, head(HOOK, {"Content-Length": "2", "Expect": "foo"})), 417)


BOMB = gzip.compress(b" " * 2**20)
ENCODED = {
    "row 41: valid": ("gzip", gzip.compress(event("evt_row_41"))),
    "row 41: deflate": ("deflate", zlib.compress(event("evt_row_41"))),
    "row 41: brotli": ("br", b"\x0b\x02\x80{}\x03"),
    "row 41: twice": ("gzip, gzip", gzip.compress(gzip.compress(event("evt_row_41")))),
    "row 41: unknown": ("rot13", json.dumps({"id": "evt_row_41"}).encode()),
    "row 42: a bomb": ("gzip", BOMB),
    "row 43: corrupt": ("gzip", BOMB[:10] + b"\xff" * 20),
    "row 44: truncated": ("gzip", BOMB[:-20]),
}


@pytest.mark.parametrize(("coding", "body"), ENCODED.values(), ids=ENCODED.keys())
async def test_an_encoded_body_is_never_decoded(receiver: RunningDaemon, coding: str, body: bytes) -> None:
    """Rows 41 to 44: signed as it is sent, so that only the encoding is left to refuse."""
    signed = stripe(body)
    assert_problem(await ask(receiver.port, post("stripe", body, {"Content-Encoding": coding, **signed})), 415)


async def test_identity_is_no_encoding(receiver: RunningDaemon) -> None:
    """Row 41, its other side."""
    body = event("evt_identity")
    answer = await ask(receiver.port, post("stripe", body, {"Content-Encoding": "identity", **stripe(body)}))
    assert answer.json()["status"] == "accepted"

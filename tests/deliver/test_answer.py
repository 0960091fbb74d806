"""Answers of every shape, cut in every place: what is read depends on the bytes alone."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.delivery import RESPONSE_BYTES_MAX
from webhookd.deliver.answer import ANSWER_BYTES_MAX, HEAD_BYTES_MAX, INTERIM_MAX, AnswerReader, MalformedAnswerError
from webhookd.deliver.transport import Response

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nRetry-After: 9\r\nContent-Length: 7\r\n\r\n"
Found = tuple[Response, bool] | None
"""What was read, and whether the connection may be used again; None for what is malformed."""


def read(*pieces: bytes) -> Found:
    """As a connection does it: piece by piece until the answer is over, or until they end."""
    reader = AnswerReader()
    try:
        over = any(reader.feed(piece) for piece in pieces) or reader.end()
    except MalformedAnswerError:
        return None
    return (reader.response(), reader.reusable) if over else None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


def sized(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = b"".join(each + b"\r\n" for each in headers)
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def chunked(*chunks: bytes, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(each), extension, each) for each in chunks)
    return head + body + b"0\r\n" + trailers + b"\r\n"


def found(body: bytes = b"", status: int = 200, retry_after: str | None = None, *, reusable: bool = True) -> Found:
    return Response(status, retry_after, body), reusable


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (sized(b"ok"), found(b"ok")),
        (sized(b""), found()),
        (sized(b"", status=b"599 Odd"), found(status=599)),
        (sized(b"", status=b"999 Odder"), found(status=999)),
        (sized(b"", b"Connection: close"), found(reusable=False)),
        (sized(b"", b"Connection: Keep-Alive, close"), found(reusable=False)),
        (sized(b"", b"Upgrade: h2c", b"Connection: Upgrade"), found()),
        (sized(b"x", b"retry-after: 120", status=b"503 Busy"), found(b"x", 503, "120")),
        (sized(b"x", b"Retry-After: \xfc", status=b"503 Busy"), found(b"x", 503, "ü")),
        (chunked(b"o", b"k"), found(b"ok")),
        (chunked(), found()),
        (chunked(b"ok", extension=b';a="b"', trailers=b"Retry-After: 5\r\nX: y\r\n"), found(b"ok")),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", found(b"until the end", reusable=False)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzip", found(b"zip", reusable=False)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n", found(b"z")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", found(b"until the end", reusable=False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", found(b"ok", reusable=False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", found(b"ok")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", found(status=204)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", found(status=304)),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", found()),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", found(b"ok")),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            found(b"x", reusable=False),
        ),
        (INTERIM + chunked(b"ok"), found(b"ok")),
        (b"\r\n" + sized(b"ok"), found(b"ok")),
        (INTERIM + sized(b"ok"), found(b"ok")),
        (INTERIM + b"HTTP/1.1 200 OK\r\n\r\nno length", found(b"no length", reusable=False)),
        (INTERIM * INTERIM_MAX + sized(b"ok"), found(b"ok")),
        (INTERIM * (INTERIM_MAX + 1) + sized(b"ok"), None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + sized(b"ok"), None),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + sized(b"ok"), None),
        (sized(b"ok") + b"more", found(b"ok", reusable=False)),
        (sized(b"ok") + sized(b"another"), found(b"ok", reusable=False)),
        (sized(b"ok") + b"H", found(b"ok", reusable=False)),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody all the same", found(status=204, reusable=False)),
        (sized(b"x" * RESPONSE_BYTES_MAX), found(b"x" * RESPONSE_BYTES_MAX)),
        (sized(b"x" * (RESPONSE_BYTES_MAX + 1)), found(b"x" * RESPONSE_BYTES_MAX)),
        (sized(b"x" * 9_000)[:5_000], found(b"x" * RESPONSE_BYTES_MAX, reusable=False)),
        (chunked(*[b"x"] * 5_000), found(b"x" * RESPONSE_BYTES_MAX)),
        (chunked(b"x" * 5_000)[:-9], found(b"x" * RESPONSE_BYTES_MAX, reusable=False)),
        (chunked(b"x", extension=b";" + b"e" * 90_000), found(reusable=False)),
        (chunked(b"x", trailers=b"X: " + b"y" * 90_000), found(b"x", reusable=False)),
        (b"", None),
        (b"HTTP/1.1 200 OK\r\n", None),
        (sized(b"ok")[:-1], None),
        (chunked(b"ok")[:-1], None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", None),
        (sized(b"", status=b"000 OK") + sized(b"ok"), None),
        (b"HTTP/1.1 99 OK\r\n\r\n", None),
        (b"HTTP/2 200\r\n\r\n", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
        (b"\x15\x03\x01\x00\x02\x02\x28", None),
        (b"<html>not HTTP</html>", None),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", None),
        (b"\x00" * 100, None),
    ],
)
def test_an_answer_is_the_same_wherever_it_is_cut(answer: bytes, expected: Found):
    def agrees(pieces: list[bytes]) -> bool:
        got = read(*pieces)
        if got is None or expected is None:
            return got is expected
        # Whether more would have come is not known before it does: only a cut may make a connection look usable.
        return got[0] == expected[0] and (got[1] == expected[1] or len(pieces) > 1)

    assert read(answer) == expected
    for place in range(1, min(len(answer), 400)):
        assert agrees([answer[:place], answer[place:]]), place
    assert agrees([answer[at : at + 1] for at in range(len(answer))])


@pytest.mark.fault(29)
def test_a_head_may_have_so_many_bytes_and_not_one_more():
    start, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 0\r\n\r\n"
    fits = start + b"x" * (HEAD_BYTES_MAX - len(start) - len(end)) + end
    for pieces in ([fits], cut(fits, [1, 100, 16_383])):
        assert read(*pieces) == found()
    longer = fits.replace(b"X: ", b"X: x")
    for pieces in ([longer], cut(longer, [1, 100, 16_384])):
        assert read(*pieces) is None
    assert read(INTERIM * 2 + fits) is None, "interim answers are part of it"


@pytest.mark.fault(29)
def test_a_compressed_body_is_kept_as_it_came():
    bomb = gzip.compress(b"\0" * 5_000_000, 9)
    answer = read(sized(bomb, b"Content-Encoding: gzip"))
    assert answer is not None
    assert answer[0].body == bomb[:RESPONSE_BYTES_MAX]


def test_one_reader_reads_one_answer_after_the_other():
    reader = AnswerReader()
    for answer, expected in (
        (sized(b"first", b"Retry-After: 1", b"Keep-Alive: timeout=5, max=100"), Response(200, "1", b"first")),
        (chunked(b"second"), Response(200, None, b"second")),
        (INTERIM + b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, None, b"")),
        (sized(b"last"), Response(200, None, b"last")),
    ):
        reader.begin()
        assert reader.feed(answer)
        assert reader.reusable
        assert reader.response() == expected


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"Keep-Alive: timeout=5", 5),
        (b"keep-alive: max=100, Timeout = 75", 75),
        (b'Keep-Alive: timeout="0"', 0),
        (b"Keep-Alive: 300", None),
        (b"Keep-Alive: timeout=soon", None),
        (b"X: timeout=5", None),
    ],
)
def test_it_hears_how_long_an_idle_connection_is_kept(header: bytes, seconds: int | None):
    reader = AnswerReader()
    reader.feed(sized(b"", header))
    assert reader.keep_alive_s == seconds


NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ-0123456789", min_size=1, max_size=12).filter(
    lambda name: name.lower() not in ("connection", "content-length", "transfer-encoding", "retry-after", "upgrade")
)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=8),
    chunks=st.lists(st.binary(min_size=1, max_size=600), max_size=12),
    framing=st.sampled_from(["length", "chunks", "end"]),
    interim=st.integers(0, 3),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_whatever_a_merchant_says_in_http_is_understood(status, headers, chunks, framing, interim, places):
    body = b"".join(chunks)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
    start = b"HTTP/1.1 %d Reason\r\n%b" % (status, lines)
    if framing == "length":
        answer = start + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    elif framing == "end":
        answer = start + b"\r\n" + body
    else:
        pieces = b"".join(b"%X\r\n%b\r\n" % (len(each), each) for each in chunks)
        answer = start + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    got = read(*cut(INTERIM * interim + answer, places))
    assert got is not None
    assert got[0] == Response(status, None, body[:RESPONSE_BYTES_MAX])


PARTS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n", b"\n", b"Content-Length: 3\r\n", b"abc"),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"Connection: close\r\n",
            b":",
            b" ",
            b"\0",
        ),
        *(b"HTTP/1.0 500 No\r\n", b"x" * 5_000, b"HTTP/1.1 204 No Content\r\n\r\n", b"Retry-After: 1\r\n"),
    ]
)


@given(st.lists(st.one_of(PARTS, st.binary(max_size=8)), max_size=20), st.lists(st.integers(0, 100_000), max_size=8))
def test_whatever_else_he_says_is_judged_by_its_bytes_alone(parts: list[bytes], places: list[int]):
    said = b"".join(parts)[: 2 * ANSWER_BYTES_MAX]
    whole, pieces = read(said), read(*cut(said, places))
    assert (whole and whole[0]) == (pieces and pieces[0])

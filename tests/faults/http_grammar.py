"""HTTP/1.1 requests as a grammar has them, and what can be wrong with one. The same dice, the same bytes.

Whatever a stranger may choose has `MARK` in it, so that it is known again wherever it turns up. HEAD is not among the
methods: its answers have a length and no body, and from the bytes alone nobody could tell where the next one begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

MARK = b"c4n4ry7f3a"
METHODS = (b"GET", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND", b"post", b"BREW", MARK)
VERSIONS = (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/1", b"http/1.1", b"HTTP/" + MARK, b"")
NUMBERS = (
    *(b"-1", b"+2", b"00", b"0x10", b"1e3", b"2, 2", b"2 2", b"", b" ", b"\t5", b"5\t", MARK, b"\xd9\xa1"),
    *(b"1048577", b"999999999", b"9" * 19, b"9" * 30, b"18446744073709551617"),
)
CODINGS = (
    *(b"chunked", b"Chunked", b"gzip, chunked", b"chunked, chunked", b"chunked, identity", b"identity", b"xchunked"),
    *(b"chunked;a=b", b"\x0bchunked", b"", b",", b"chunked\x00", MARK),
)
FIELDS = (
    *(b"A : b", b"A", b": b", b"A: \x00" + MARK, b"A: \x1b[31m" + MARK, b"A: b\r\n c", b"A: b\nC: d", b"A\x00: b"),
    *(
        b"A: \xff\xfe" + MARK,
        b"A: " + MARK * 1_000,
        MARK * 1_000 + b": b",
        b"A(: b",
        b"\x7f: b",
        b" A: b",
        b"A: b\rC: d",
    ),
    *(b"Host: " + MARK, b"Host: a", b"Host:", b"Connection: close", b"Connection: keep-alive", b"Connection: " + MARK),
    *(b"Upgrade: websocket\r\nConnection: Upgrade", b"Upgrade: " + MARK, b"HTTP2-Settings: AAA", b"Trailer: " + MARK),
    *(b"Expect: 100-continue", b"Expect: " + MARK, b"Content-Encoding: gzip", b"Content-Encoding: " + MARK),
    *(b"Content-Type: " + MARK, b"User-Agent: " + MARK, b"Cookie: a=" + MARK, b"Authorization: Bearer " + MARK),
    *(b"Stripe-Signature: t=1,v1=" + MARK, b"Stripe-Signature: " + b"," * 4_000, b"webhook-id: " + MARK),
    *(b"X-Forwarded-For: " + MARK, b"Forwarded: for=" + MARK, b"Range: bytes=0-1,2-3", b"If-Match: " + MARK),
)
TARGETS = (
    *(b"/", b"*", b"", b"//", b"/" + MARK, b"/webhooks/" + MARK, b"/%00" + MARK, b"/%ff%fe" + MARK, b"/\xff" + MARK),
    *(b"http://" + MARK + b"/", b"http://[" + MARK + b"/", MARK + b":443", b"/../../" + MARK, b"/a b", b"/\x1b[31m"),
    *(b"/?" + MARK + b"=%", b"/#" + MARK, b"http://a:b@c:d/", b"/" + b"a" * 9_000, b"http://\xe2\x80\xae/" + MARK),
)
CHUNK_SIZES = (b"zz", b"-1", b"+1", b"0x1", b"", b" ", b"F" * 17, b"7fffffffffffffff", b"1;" + MARK, b"1 ;a=b", MARK)
NO_HTTP = (
    *(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(190), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    *(b"\r\n" * 100, b"\x00" * 100, MARK + b"\r\n\r\n", b"SSH-2.0-" + MARK + b"\r\n", b"\xff" * 1_000),
)
OCTETS = (
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\t",
    b" ",
    b":",
    b";",
    b",",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x1b[2J",
)


@dataclass(frozen=True)
class Draft:
    """A request, in the parts that something can be wrong with. `fields` are header lines without their ends."""

    method: bytes
    target: bytes
    fields: tuple[bytes, ...]
    body: bytes = b""
    version: bytes = b"HTTP/1.1"
    framing: tuple[bytes, ...] = ()
    """The header lines that say where the body ends."""
    end: bytes = b"\r\n"

    def raw(self) -> bytes:
        line = b" ".join(each for each in (self.method, self.target, self.version) if each)
        return self.end.join([line, *self.fields, *self.framing, b"", b""]) + self.body


def with_length(draft: Draft) -> Draft:
    return replace(draft, framing=(b"Content-Length: %d" % len(draft.body),))


def in_chunks(draft: Draft, dice: Random) -> Draft:
    """The body as chunks of any size, some with an extension, and perhaps a trailer."""
    pieces, rest = [], draft.body
    while rest:
        size = dice.randint(1, max(1, len(rest)))
        extension = b";" + MARK if dice.random() < 0.1 else b""
        pieces.append(b"%x%b\r\n%b\r\n" % (size, extension, rest[:size]))
        rest = rest[size:]
    trailer = b"X-Trailer: " + MARK + b"\r\n" if dice.random() < 0.1 else b""
    return replace(
        draft, framing=(b"Transfer-Encoding: chunked",), body=b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"
    )


def framed(draft: Draft, dice: Random) -> Draft:
    return in_chunks(draft, dice) if dice.random() < 0.3 else with_length(draft)


# --- What is wrong with a draft


def _another_method(draft: Draft, dice: Random) -> Draft:
    return replace(draft, method=dice.choice(METHODS))


def _another_target(draft: Draft, dice: Random) -> Draft:
    odd = dice.choice(TARGETS)
    return replace(draft, target=draft.target + odd if dice.random() < 0.3 else odd)


def _another_version(draft: Draft, dice: Random) -> Draft:
    return replace(draft, version=dice.choice(VERSIONS))


def _an_odd_field(draft: Draft, dice: Random) -> Draft:
    fields = [*draft.fields]
    fields.insert(dice.randint(0, len(fields)), dice.choice(FIELDS))
    return replace(draft, fields=tuple(fields))


def _a_field_twice(draft: Draft, dice: Random) -> Draft:
    return replace(draft, fields=(*draft.fields, dice.choice(draft.fields or FIELDS)))


def _a_field_missing(draft: Draft, dice: Random) -> Draft:
    return replace(draft, fields=tuple(dice.sample(draft.fields, max(0, len(draft.fields) - 1))))


def _many_fields(draft: Draft, dice: Random) -> Draft:
    many = tuple(b"X-%d: " % number + MARK for number in range(dice.choice((90, 200, 2_000))))
    return replace(draft, fields=draft.fields + many)


def _a_wrong_length(draft: Draft, dice: Random) -> Draft:
    near = b"%d" % max(0, len(draft.body) + dice.choice((-2, -1, 1, 2, 10)))
    lines = [b"Content-Length: " + dice.choice((near, dice.choice(NUMBERS))) for _ in range(dice.choice((1, 1, 2)))]
    return replace(draft, framing=tuple(lines))


def _two_framings(draft: Draft, dice: Random) -> Draft:
    more = b"Content-Length: %d" % dice.choice((0, 2, len(draft.body)))
    return replace(draft, framing=(more, *draft.framing) if dice.random() < 0.5 else (*draft.framing, more))


def _an_odd_coding(draft: Draft, dice: Random) -> Draft:
    return replace(draft, framing=(b"Transfer-Encoding: " + dice.choice(CODINGS),))


def _no_framing(draft: Draft, dice: Random) -> Draft:
    return replace(draft, framing=())


def _a_broken_chunk(draft: Draft, dice: Random) -> Draft:
    size, body = dice.choice(CHUNK_SIZES), draft.body[: dice.randint(0, len(draft.body))]
    broken = dice.choice((size + b"\r\n" + body, size + b"\n" + body, b"5\r\n" + body + size, size))
    good = b"2\r\n{}\r\n" if dice.random() < 0.5 else b""
    return replace(draft, framing=(b"Transfer-Encoding: chunked",), body=good + broken)


def _other_line_ends(draft: Draft, dice: Random) -> Draft:
    return replace(draft, end=dice.choice((b"\n", b"\r", b"\r\n\r\n", b"\r\r\n", b"\x0b\r\n")))


def _another_body(draft: Draft, dice: Random) -> Draft:
    return with_length(replace(draft, body=dice.choice((b"", b"{", MARK, b"[" * 5_000, dice.randbytes(300)))))


WRONGS: Sequence[Callable[[Draft, Random], Draft]] = (
    *(_another_method, _another_target, _another_version, _an_odd_field, _an_odd_field, _a_field_twice),
    *(_a_field_missing, _many_fields, _a_wrong_length, _two_framings, _an_odd_coding, _no_framing, _a_broken_chunk),
    *(_other_line_ends, _another_body),
)


# --- What is wrong with bytes


def _flipped(raw: bytes, dice: Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.choice((1, 1, 2, 8))):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _cut(raw: bytes, dice: Random) -> bytes:
    return raw[: dice.randrange(len(raw))]


def _doubled(raw: bytes, dice: Random) -> bytes:
    start, end = sorted(dice.randrange(len(raw) + 1) for _ in range(2))
    return raw[:end] + raw[start:end] + raw[end:]


def _without_a_piece(raw: bytes, dice: Random) -> bytes:
    start = dice.randrange(len(raw))
    return raw[:start] + raw[start + dice.choice((1, 2, 10, 100)) :]


def _with_an_octet(raw: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(raw) + 1)
    return raw[:at] + dice.choice(OCTETS) + raw[at:]


def _after_something_else(raw: bytes, dice: Random) -> bytes:
    return dice.choice(NO_HTTP) + raw


SPOILT: Sequence[Callable[[bytes, Random], bytes]] = (
    *(_flipped, _flipped, _cut, _doubled, _without_a_piece, _with_an_octet, _with_an_octet, _after_something_else),
)


def connection(good: Callable[[Random], Draft], dice: Random) -> bytes:
    """All that somebody sends on one connection: one bad request or several, and perhaps good ones around them."""
    sent = b""
    for _ in range(dice.choice((1, 1, 1, 1, 2, 3, 20))):
        draft = framed(good(dice), dice)
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
            draft = dice.choice(WRONGS)(draft, dice)
        raw = draft.raw()
        if raw and dice.random() < 0.3:
            raw = dice.choice(SPOILT)(raw, dice)
        sent += raw
    return sent


def pieces(raw: bytes, dice: Random) -> list[bytes]:
    """As the network may bring it: mostly whole, else in segments that end anywhere."""
    if dice.random() < 0.6 or len(raw) < 2:
        return [raw]
    edges = sorted({0, len(raw), *(dice.randrange(len(raw)) for _ in range(dice.choice((1, 2, 7))))})
    return [raw[start:end] for start, end in pairwise(edges)]

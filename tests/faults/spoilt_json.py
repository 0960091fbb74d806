"""A JSON text with something wrong or odd in it, that is still much like what it was. The same dice, the same bytes.

Numbers stay the digits they were, and a member may be there twice: nothing is lost by reading and writing.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

DEEP = 2_000
"""Levels: more than any reader of JSON goes down, and still a short text."""
NUMBERS = (
    *(
        "0",
        "-0",
        "1",
        "-1",
        "1.0",
        "1.5",
        "1e2",
        "1E+2",
        "-5",
        "0.1",
        "99999999999999999999",
        "1e999",
        "1e-999",
        "1e16",
    ),
    *("1000000000000000", "1000000000000001", "9007199254740993", "123456789012345678.12", "9" * 400, "9" * 5_000),
    *(
        "1e99999999999999999999",
        "0." + "0" * 400 + "1",
        "1." + "0" * 400,
        "1." + "9" * 50,
        "1e-2",
        "00",
        "+1",
        ".5",
        "1.",
    ),
)
TEXTS = (
    *(
        "",
        " ",
        "0",
        "12.34",
        "-1",
        "1e5",
        "12,34",
        "٤٢",
        "²",
        "1_000",
        "NaN",
        "x" * 255,
        "x" * 256,
        "x" * 5_000,
        "é支付",
    ),
    *(
        "\x00",
        "\n",
        "\x1b[31m",
        "\u202e",
        "\ufeff",
        "\u2028",
        "\x7f",
        "\x85",
        "null",
        "USD",
        "usd",
        "ＵＳＤ",
        "XXX",
        "ßß",
    ),
    *("2026-99-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"),
    *("2026-01-01T00:00:00.123456789Z", "2026-W01-1T00:00:00Z", "sha256:" + "0" * 64, "'); DROP TABLE event; --"),
    *("succeeded", "captured", "failed", "refunded", "4242424242424242", "pay_1", "evt_1", "true", "\ud800".join("ab")),
)
RAW = (
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "True",
    "'a'",
    '"\\ud800"',
    '"\\u0000"',
    '"\\x"',
    '"\\',
    '"\t"',
    "/**/1",
)
KEYS = (
    "",
    "id",
    "type",
    "event",
    "object",
    "amount",
    "currency",
    "status",
    "data",
    "metadata",
    "refunds",
    "é",
    "a" * 300,
)
AROUND = ("\ufeff", " ", "\n", "\x00", "{}", "[", "//", ",", "}")


class Digits(str):
    """A number, or whatever else is to stand there, as it is written."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object: its members in order, each perhaps more than once."""


def read(body: bytes) -> Any:
    return json.loads(body, parse_int=Digits, parse_float=Digits, object_pairs_hook=Members)


def written(node: Any) -> str:
    match node:
        case Digits():
            return str(node)
        case Members():
            return "{" + ",".join(f"{_text(key)}:{written(value)}" for key, value in node) + "}"
        case list():
            return "[" + ",".join(map(written, node)) + "]"
        case _:
            return _text(node)


def _text(node: Any) -> str:
    return json.dumps(node, ensure_ascii=False)


def spoilt(body: bytes, dice: Random) -> bytes:
    """`body` must be JSON. One thing in it is odd, or several; now and then it is no JSON any more."""
    tree = read(body)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        tree = _changed(tree, dice)
    text = written(tree)
    if dice.random() < 0.05:
        odd = dice.choice(AROUND)
        text = odd + text if dice.random() < 0.5 else text + odd
    raw = text.encode("utf-8", "surrogatepass")
    if raw and dice.random() < 0.05:
        at = dice.randrange(len(raw))
        raw = dice.choice((raw[:at], raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]))
    return raw


def other_amounts(body: bytes, dice: Random) -> bytes:
    """The same with another number in the place of each."""
    tree = read(body)
    for holder, index in [*_places(tree)]:
        _another_amount(holder, index, dice)
    return written(tree).encode()


def _changed(node: Any, dice: Random) -> Any:
    """The same with one place in it changed, deeper places as likely as others."""
    places = [*_places(node)]
    if not places:
        return odd_value(dice)
    holder, index = dice.choice(places)
    dice.choice(CHANGES)(holder, index, dice)
    return node


def _places(node: Any) -> Any:
    """Each list or object with each index of it."""
    stack = [node]
    while stack:
        holder = stack.pop()
        if isinstance(holder, list):
            for index, each in enumerate(holder):
                yield holder, index
                stack.append(each[1] if isinstance(holder, Members) else each)


def odd_value(dice: Random) -> Any:
    kind = dice.randrange(7)
    if kind == 0:
        return dice.choice((None, True, False))
    if kind == 1:
        return Digits(dice.choice(NUMBERS))
    if kind == 2:
        return dice.choice(TEXTS)
    if kind == 3:
        return dice.choice(([], Members(), [None], [[]], Members([("id", Members([("id", None)]))])))
    if kind == 4:
        return Digits(str(dice.randrange(10 ** dice.randrange(1, 20))))
    if kind == 5 and dice.random() < 0.3:
        opened, closed = dice.choice((("[", "]"), ('{"a":', "}"), ('{"id":', "}")))
        return Digits(opened * DEEP + "1" + closed * DEEP)
    return Digits(dice.choice(RAW)) if dice.random() < 0.3 else dice.choice(TEXTS)


def _put(holder: Any, index: int, value: Any) -> None:
    holder[index] = (holder[index][0], value) if isinstance(holder, Members) else value


def _got(holder: Any, index: int) -> Any:
    return holder[index][1] if isinstance(holder, Members) else holder[index]


# --- What may be changed at a place


def _another_value(holder: Any, index: int, dice: Random) -> None:
    _put(holder, index, odd_value(dice))


def _missing(holder: Any, index: int, dice: Random) -> None:
    del holder[index]


def _twice(holder: Any, index: int, dice: Random) -> None:
    holder.insert(dice.randrange(len(holder) + 1), holder[index])


def _twice_and_another(holder: Any, index: int, dice: Random) -> None:
    more = (holder[index][0], odd_value(dice)) if isinstance(holder, Members) else odd_value(dice)
    holder.insert(dice.randrange(len(holder) + 1), more)


def _another_name(holder: Any, index: int, dice: Random) -> None:
    if isinstance(holder, Members):
        holder[index] = (dice.choice((*KEYS, dice.choice(holder)[0])), holder[index][1])


def _another_type(holder: Any, index: int, dice: Random) -> None:
    """A number as text, text as a number, either within a list or an object."""
    value = _got(holder, index)
    if isinstance(value, Digits) and dice.random() < 0.6:
        _put(holder, index, str(value))
    elif isinstance(value, str) and value.lstrip("-").isdigit():
        _put(holder, index, Digits(value))
    else:
        many = [value] * (2 if isinstance(value, list) else 40)
        _put(holder, index, dice.choice(([value], Members([("id", value)]), many)))


def _another_amount(holder: Any, index: int, dice: Random) -> None:
    """With two digits after the point: few of those are the same as a float."""
    value = _got(holder, index)
    amount = f"{dice.randrange(10**5)}.{dice.randrange(100):02}"
    if isinstance(value, Digits):
        _put(holder, index, Digits(amount))
    elif isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit():
        _put(holder, index, amount)


def _another_places_value(holder: Any, index: int, dice: Random) -> None:
    other = dice.randrange(len(holder))
    ours, theirs = _got(holder, index), _got(holder, other)
    _put(holder, index, theirs)
    _put(holder, other, ours)


CHANGES: Sequence[Callable[[Any, int, Random], None]] = (
    *(_another_value, _another_value, _another_value, _missing, _twice, _twice_and_another, _another_name),
    *(_another_type, _another_type, _another_places_value, _another_amount, _another_amount),
)

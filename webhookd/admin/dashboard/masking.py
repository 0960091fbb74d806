"""Numbers that no page shows: of cards, accounts and people, known by their names or by their check digits. Pure.

Of a long one the last four characters stay, so that a person can tell it from another.
"""

import re
from functools import lru_cache
from typing import Literal

from webhookd.core.card_number import without_card_numbers

DOTS = "••••"
NAME_CHARS = 64
"""The end of a name, which says what it is."""
_TELLING_CHARS_MIN = 8
"""One that is shorter shows nothing of itself."""
_SECRET = {"cvc", "cvc2", "cvv", "cvv2", "cvn", "pin", "otp", "ssn", "secret", "password"}
"""Last words of a name; nothing of the value stays."""
_NUMBER = {"iban", "bban", "pan", "bvn", "clabe", "aadhaar", "accountnumber", "routingnumber", "cardnumber"}
_NUMBER_OF = {"account", "acct", "card", "routing", "iban", "passport", "id", "security", "sort"}
"""What a number or a code is of: `account_number`, `securityCode`, or `number` within `card`."""
_NUMBER_WORDS = {"number", "no", "code", "num"}
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,40}+(?![A-Za-z0-9])")
_PAIR = re.compile(r"(?<![\w.\[\]-])([\w.\[\]-]{1,64}+)([\"']?\s{0,8}[=:]\s{0,8}[\"']?|>)([^\s\"'&,;<>]{1,200})")
"""`name=value`, `"name": "value"` and `<name>value`, wherever they stand in a text."""


def masked(value: str) -> str:
    """A number of an account or a card."""
    plain = value.rstrip()
    return DOTS + (plain[-4:] if len(plain) >= _TELLING_CHARS_MIN else "")


def kind(name: str, within: str) -> Literal["", "number", "secret"]:
    """What has this name, within what has that one; empty where it may be shown."""
    return _kind(name[-NAME_CHARS:], within[-NAME_CHARS:])


@lru_cache(4_096)
def _kind(name: str, within: str) -> Literal["", "number", "secret"]:
    """What is remembered is short, however long the names are that somebody makes up."""
    words = _words(name)
    if not words:
        return ""
    if words[-1] in _SECRET or words[-2:] == ["security", "code"]:
        return "secret"
    return "number" if _is_number(words, _words(within)) else ""


def by_name(name: str, within: str, value: str) -> str:
    """The value as it may be shown, going by what it is called and what that which it is within is called."""
    match kind(name, within) if value else "":
        case "secret":
            return DOTS
        case "number":
            return masked(value)
        case _:
            return value


def by_check_digits(text: str) -> str:
    """The text without the numbers of cards, and of accounts as IBAN has them."""
    return _IBAN.sub(_without_iban, without_card_numbers(text, masked))


def in_text(text: str) -> str:
    """The text of no known form without any of it."""

    def shown(found: re.Match[str]) -> str:
        name = found[1].rstrip("]").replace("[", ".")
        within, _, last = name.rpartition(".")
        return found[1] + found[2] + by_name(last, within.rpartition(".")[2], found[3])

    return by_check_digits(_PAIR.sub(shown, text))


def _is_number(words: list[str], within: list[str]) -> bool:
    if words[-1] in _NUMBER:
        return True
    if words[-1] not in _NUMBER_WORDS:
        return False
    if len(words) > 1:
        return words[-2] in _NUMBER_OF and not (words[-1] == "code" and words[-2] not in ("security", "sort"))
    return words[-1] in ("number", "no") and bool(within) and within[-1] in _NUMBER_OF


def _words(name: str) -> list[str]:
    return [each.lower() for each in _WORD.findall(name)]


def _without_iban(found: re.Match[str]) -> str:
    """Words may follow it that look as if they were still of it."""
    groups = re.split("[ -]", found[0])
    for last in range(len(groups), 0, -1):
        number = "".join(groups[:last])
        if 15 <= len(number) <= 34 and _is_iban(number):
            return " ".join([masked(number), *groups[last:]])
    return found[0]


def _is_iban(number: str) -> bool:
    """The check of ISO 13616: what it says, with its head at the end, is 1 modulo 97."""
    turned = number[4:] + number[:4]
    return number.isascii() and int("".join(str(int(each, 36)) for each in turned)) % 97 == 1

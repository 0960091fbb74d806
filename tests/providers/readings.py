"""What everybody behind a reading relies on, whatever the body was; and that no amount is made up."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from webhookd.core.event import Reading, is_name
from webhookd.core.ledger import COUNTING, DETAIL_CHARS_MAX, RANKS, REFERENCES_MAX
from webhookd.core.money import AMOUNT_MAX

_DECIMAL = re.compile(r"-?(\d+(\.\d*)?|\.\d+)", re.ASCII)
MAJOR_UNITS = frozenset({"paypal", "flutterwave"})
"""Providers that say 10.50 where the others say 1050."""


def assert_sound(reading: Reading) -> None:
    assert is_name(reading.provider_event_id)
    assert is_name(reading.type)
    assert reading.alias is None or is_name(reading.alias)
    assert reading.payment_id is None or is_name(reading.payment_id)
    assert reading.occurred_at is None or 0 <= reading.occurred_at < 10**14
    fact = reading.fact
    if fact is None:
        return
    assert fact.status in RANKS[fact.kind]
    assert is_name(fact.id)
    assert fact.detail is None or 0 < len(fact.detail) <= DETAIL_CHARS_MAX
    assert fact.reference is None or is_name(fact.reference)
    assert len(fact.references) <= REFERENCES_MAX
    assert all(is_name(name) for name in fact.references)
    assert len(set(fact.references)) == len(fact.references)
    assert fact.refunded is None or 0 <= fact.refunded <= AMOUNT_MAX
    amount = fact.money.amount
    assert amount is None or (type(amount) is int and abs(amount) <= AMOUNT_MAX)
    assert fact.kind not in COUNTING or amount is None or amount >= 0


def assert_amount_is_said(provider: str, body: bytes, reading: Reading) -> None:
    """The amount is some number of the body, to the last digit, and the currency some word of it.

    The body is read by another reader, which goes no less deep: what that cannot read is not looked at.
    """
    money = None if reading.fact is None else reading.fact.money
    if money is None or (money.amount is None and money.currency is None):
        return
    try:
        tree = json.loads(body.decode(), parse_int=Decimal, parse_float=Decimal, object_pairs_hook=list)
    except (ValueError, RecursionError, ArithmeticError):
        return
    said = [*_leaves(tree)]
    is_sum = provider == "paypal" and reading.fact is not None and reading.fact.kind == "order"  # of its units
    if money.amount is not None and not is_sum:
        exponent = (money.exponent or 0) if provider in MAJOR_UNITS else 0
        wanted = Decimal(money.amount).scaleb(-exponent)
        numbers = [number for each in said if (number := _number(each)) is not None]
        # What was given back is below zero in PayPal's old events, and above it here.
        assert any(number in (wanted, -wanted) if provider == "paypal" else number == wanted for number in numbers), (
            provider,
            money,
            body[:3_000],
        )
    if money.currency is not None:
        assert any(isinstance(each, str) and each.upper() == money.currency for each in said)


def _leaves(tree: Any) -> Iterator[Any]:
    """An object is a list of pairs here, so that no member hides another."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        else:
            yield node


def _number(leaf: Any) -> Decimal | None:
    if isinstance(leaf, Decimal):
        return leaf
    return Decimal(leaf) if isinstance(leaf, str) and len(leaf) < 100 and _DECIMAL.fullmatch(leaf) else None

"""Money as people read it."""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

UNITS = "smallest units"
"""What is said of an amount in a currency of which nobody told how many digits come after the point."""
_EXACT = Context(prec=400)


def money_text(money: Mapping[str, Any]) -> str:
    """`10.50 USD`; `1050 smallest units of XTS`; `– USD` for what could not be read."""
    amount, currency, exponent = money["amount"], money["currency"], money["exponent"]
    if amount is None:
        return f"– {currency}" if currency else "–"
    if exponent is None:
        return f"{amount} {UNITS}" + (f" of {currency}" if currency else "")
    return f"{major(amount, exponent)} {currency}"


def major(amount: int, exponent: int) -> str:
    """The amount with its point: 1050 and 2 make `10.50`."""
    return f"{Decimal(amount).scaleb(-exponent, _EXACT):f}"

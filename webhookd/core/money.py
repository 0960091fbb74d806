"""Money as integers of the smallest unit. What cannot be read exactly is None: marked, never guessed.

The exponent (digits after the point) belongs to provider and currency together. Sources: ISO 4217; Stripe's
docs.stripe.com/currencies (ISK and UGX are sent with two digits that are always 00, MGA with none); PayPal's currency
codes (HUF, JPY and TWD have no decimals there); razorpay.com/docs international payments; paystack.com/docs (whether
its XOF and RWF have subunits is not documented, so they have no exponent here). Flutterwave publishes no table; Dodo
Payments says "smallest unit, see the currency's decimal places".
"""

import re
from collections.abc import Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import Any

import msgspec

AMOUNT_MAX = 10**15
"""Smallest units; more than this nobody can have meant, and a sum of many still fits 64 bits."""
_TEXT_CHARS_MAX = 64
_DECIMAL = re.compile(r"-?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_EXACT = Context(prec=40, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, InvalidOperation, Overflow])
"""Arithmetic that is right to the last digit, or raises."""
_UNIT = Decimal(1)
_WHOLE = re.compile(r"-?\d{1,16}", re.ASCII)

_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()
_TWO = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
    "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR "
    "MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD "
    "SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG "
    "YER ZAR ZMW ZWG "
    "HRK SLL STD"  # withdrawn, but old events and slow providers still name them
).split()
_THREE = "BHD IQD JOD KWD LYD OMR TND".split()
_ISO = {**dict.fromkeys(_ZERO, 0), **dict.fromkeys(_TWO, 2), **dict.fromkeys(_THREE, 3)}
_PAYPAL = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD ILS INR MXN MYR NOK NZD PHP PLN RUB SEK SGD THB USD".split()

EXPONENTS: Mapping[str, Mapping[str, int]] = {
    "stripe": {**_ISO, "ISK": 2, "UGX": 2, "MGA": 0},
    "paypal": {**dict.fromkeys(_PAYPAL, 2), "HUF": 0, "JPY": 0, "TWD": 0},
    "flutterwave": _ISO,
    "paystack": dict.fromkeys(("NGN", "GHS", "ZAR", "KES", "USD", "EGP"), 2),
    "razorpay": _ISO,
    "standard": _ISO,
    "outbox": _ISO,
}


class Money(msgspec.Struct, frozen=True, gc=False):
    amount: int | None = None
    """Smallest units, or None where it cannot be read exactly."""
    currency: str | None = None
    """ISO 4217, upper case."""
    exponent: int | None = None
    """None for a currency of which the provider's exponent is not known."""


NO_MONEY = Money()


def of_minor(provider: str, amount: Any, currency: Any) -> Money:
    """From smallest units, as a whole number or as digits in a string."""
    code = _code(currency)
    return Money(whole(amount), code, EXPONENTS[provider].get(code or ""))


def of_major(provider: str, amount: Any, currency: Any) -> Money:
    """From a decimal, as text or as a JSON number; without a known exponent there is no amount."""
    code = _code(currency)
    exponent = EXPONENTS[provider].get(code or "")
    return Money(None if exponent is None else scaled(amount, exponent), code, exponent)


def whole(value: Any) -> int | None:
    """A whole number of at most AMOUNT_MAX either way, or None. A truth value is no number; nor is 42.0, for nobody who
    counts smallest units writes it so: it may be of another unit.
    """
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) is not int or abs(value) > AMOUNT_MAX:
        return None
    return value


def scaled(value: Any, exponent: int) -> int | None:
    """A decimal (JSON number, or text without an exponent) times ten to the exponent, when that is whole."""
    if type(value) is int:
        return whole(value * 10**exponent) if abs(value) <= AMOUNT_MAX else None
    if isinstance(value, str) and len(value) <= _TEXT_CHARS_MAX and _DECIMAL.fullmatch(value):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        return None
    try:
        return whole(int(_EXACT.quantize(_EXACT.scaleb(value, exponent), _UNIT)))
    except (DecimalException, ValueError):  # not whole, out of all bounds, or no number
        return None


def _code(currency: Any) -> str | None:
    if isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isalpha():
        return currency.upper()
    return None


def at_least_nothing(money: Money) -> Money:
    """With an amount below 0 taken for one that cannot be read: it would lessen the sum of all others."""
    return money if money.amount is None or money.amount >= 0 else Money(None, money.currency, money.exponent)

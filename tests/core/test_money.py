"""Money is exact or it is None, with rational arithmetic as the oracle."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webhookd.core.money import AMOUNT_MAX, EXPONENTS, Money, of_major, of_minor, scaled, whole

EXPONENT = st.sampled_from([0, 2, 3])
AMOUNT = st.integers(-AMOUNT_MAX, AMOUNT_MAX)
NO_AMOUNT = [
    None,
    True,
    False,
    1.5,
    float("nan"),
    "",
    " ",
    "1 ",
    " 1",
    "+1",
    "1,000",
    "1e3",
    "0x10",
    "١٢",
    "NaN",
    [],
    {},
    b"1",
]


def oracle(value: Decimal | str | int, exponent: int) -> int | None:
    """By ratios of integers: what is not whole, or beyond the bound, is None."""
    product = Fraction(value) * 10**exponent
    return int(product) if product.denominator == 1 and abs(product) <= AMOUNT_MAX else None


# --- Major units


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**17), max_value=10**17), EXPONENT)
@example(Decimal("0.1"), 2)
@example(Decimal("1.005"), 2)
@example(Decimal("1.10"), 2)
@example(Decimal("1E+2"), 0)
@example(Decimal("-0.00"), 2)
@example(Decimal("0E+99"), 2)
@example(Decimal("0E-99"), 0)
@example(Decimal("9.99999999999999999999999999999999999999999999999999"), 2)
@example(Decimal("1.0000000000000000000000000000000000000000000000000000000000001"), 2)
@example(Decimal("1." + "0" * 5_000), 2)
@example(Decimal(AMOUNT_MAX) / 100, 2)
@example(Decimal(AMOUNT_MAX + 1) / 100, 2)
def test_a_decimal_number_is_scaled_to_the_last_digit_or_not_at_all(value: Decimal, exponent: int) -> None:
    assert scaled(value, exponent) == oracle(value, exponent)


@given(st.from_regex(r"-?([0-9]{1,32}|[0-9]{0,15}\.[0-9]{1,15})", fullmatch=True), EXPONENT)
@example("00000000000000000000000000010.00", 2)
@example(".50", 2)
@example("-.5", 2)
@example("10.0000000000000", 2)
@example("100.00", 0)
@example("100.01", 0)
def test_a_decimal_in_a_string_is_scaled_like_the_number(text: str, exponent: int) -> None:
    assert scaled(text, exponent) == oracle(text, exponent)


@given(st.integers(-(10**20), 10**20), EXPONENT)
def test_a_whole_number_of_major_units_is_scaled(value: int, exponent: int) -> None:
    assert scaled(value, exponent) == oracle(value, exponent)


@given(AMOUNT, EXPONENT)
def test_what_is_written_in_major_units_is_read_back(amount: int, exponent: int) -> None:
    written = Decimal(amount).scaleb(-exponent)
    assert scaled(written, exponent) == scaled(f"{written:f}", exponent) == amount


@given(AMOUNT, EXPONENT, st.integers(1, 9), st.integers(1, 30))
def test_a_fraction_of_the_smallest_unit_is_no_amount(amount: int, exponent: int, digit: int, place: int) -> None:
    assert scaled(Decimal(f"{amount}.{'0' * (place - 1)}{digit}E-{exponent}"), exponent) is None


@pytest.mark.parametrize(
    "value",
    [
        *NO_AMOUNT,
        *map(Decimal, ("NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1E+400", "1E-400")),
        *map(Decimal, ("1E+999999999999999999", "1E-999999999999999999", "9" * 5_000, "0." + "9" * 5_000)),
        *("1" * 65, "." + "0" * 65, ".", "-", "-.", "1.2.3", "1\n", "9" * 5_000, 10**4_000, -(10**4_000)),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_what_is_no_amount_of_major_units_is_none(value: Any) -> None:
    assert scaled(value, 2) is None


# --- Minor units


@given(AMOUNT)
def test_smallest_units_are_taken_as_they_are_also_from_digits_in_a_string(amount: int) -> None:
    assert whole(amount) == whole(str(amount)) == amount


@pytest.mark.parametrize(
    "value",
    [
        *NO_AMOUNT,
        *(AMOUNT_MAX + 1, -AMOUNT_MAX - 1, str(AMOUNT_MAX + 1), 10**4_000, "9" * 5_000),
        *(Decimal(42), Decimal("42.0"), "42.0", "42.", "1E+2"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_what_is_no_whole_number_of_smallest_units_is_none(value: Any) -> None:
    assert whole(value) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals(), st.lists))
def test_nothing_that_json_can_hold_breaks_the_reading_of_money(value: Any) -> None:
    for money in (of_minor("stripe", value, value), of_major("stripe", value, "USD")):
        assert money.amount is None or (type(money.amount) is int and abs(money.amount) <= AMOUNT_MAX)


# --- Currencies

ZERO = "BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF".split()
ROWS = {
    ("stripe", 0): [*ZERO, "MGA"],
    ("stripe", 2): "USD EUR GBP HUF TWD ISK UGX COP IDR".split(),
    ("stripe", 3): "BHD JOD KWD OMR TND".split(),
    ("paypal", 0): "HUF JPY TWD".split(),
    ("paypal", 2): "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD ILS MXN MYR NOK NZD PHP PLN SEK SGD THB USD".split(),
    ("flutterwave", 0): "XAF XOF RWF UGX".split(),
    ("flutterwave", 2): "NGN KES GHS ZAR USD TZS ZMW EGP MWK SLL".split(),
    ("paystack", 2): "NGN GHS ZAR KES USD EGP".split(),
    ("paystack", None): "XOF RWF JPY".split(),
    ("razorpay", 0): ["JPY"],
    ("razorpay", 2): "INR USD EUR MYR".split(),
    ("razorpay", 3): "KWD BHD OMR".split(),
    ("standard", 0): "JPY KRW VND XAF".split(),
    ("standard", 2): "USD EUR INR HRK SLL".split(),
    ("standard", 3): "KWD BHD IQD".split(),
}


@pytest.mark.parametrize(
    ("provider", "exponent", "currency"),
    [(provider, exponent, each) for (provider, exponent), currencies in ROWS.items() for each in currencies],
)
def test_the_exponent_is_that_of_provider_and_currency_together(
    provider: str, exponent: int | None, currency: str
) -> None:
    minor, major = of_minor(provider, 4200, currency), of_major(provider, 4200, currency)
    assert minor == Money(4200, currency, exponent)
    assert major == Money(None if exponent is None else 4200 * 10**exponent, currency, exponent)


def test_every_exponent_is_one_that_a_currency_has() -> None:
    assert {exponent for table in EXPONENTS.values() for exponent in table.values()} == {0, 2, 3}
    assert all(len(code) == 3 and code.isupper() for table in EXPONENTS.values() for code in table)


@pytest.mark.parametrize("currency", ["usd", "Usd", "USD"])
def test_a_currency_may_be_in_lower_case(currency: str) -> None:
    assert of_minor("stripe", 5, currency) == Money(5, "USD", 2)


@pytest.mark.parametrize("currency", [None, "", "US", "USDT", "US1", "USD\n", " USD", "ＵＳＤ", "ßßß", 840, ["USD"]])
def test_what_is_no_currency_leaves_an_amount_without_one_and_no_amount_where_the_unit_hangs_on_it(
    currency: Any,
) -> None:
    assert of_minor("stripe", 5, currency) == Money(5, None, None)
    assert of_major("stripe", "5.00", currency) == Money(None, None, None)


def test_a_currency_that_nobody_knows_is_marked_by_its_missing_exponent() -> None:
    assert of_minor("stripe", 5, "XYZ") == Money(5, "XYZ", None)
    assert of_major("stripe", "5.00", "XYZ") == Money(None, "XYZ", None)

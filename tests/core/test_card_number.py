"""What is a card number, and what only looks like one."""

import pytest

from webhookd.core.card_number import has_card_number, is_card_number, without_card_numbers

pytestmark = pytest.mark.fault(53)


@pytest.mark.parametrize(
    "digits", ["4242424242424242", "378282246310005", "4222222222222", "6304000000000000000", "36227206271667"]
)
def test_the_numbers_of_cards_are_known_by_their_check_digit(digits: str):
    assert is_card_number(digits)
    assert not is_card_number(digits[:-1] + str((int(digits[-1]) + 1) % 10))


@pytest.mark.parametrize("digits", ["1739456704206", "1763683200002", "0000000000000", "42424242", "4242" * 5, ""])
def test_the_milliseconds_of_a_time_and_what_is_too_long_or_short_are_none(digits: str):
    assert not is_card_number(digits)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31 4242 4242 4242 4242",
        "4242 4242 4242 4242 12 2030 123 0000 0000 0000",
        "4242\u00a04242\u202f4242\u20114242",
        "4242 - 4242 - 4242 - 4242",
        "4242+4242+4242+4242",
    ],
    ids=ascii,
)
def test_however_it_is_parted_and_whatever_digits_are_beside_it_it_is_one(text: str):
    assert without_card_numbers(f"by {text}.", lambda digits: digits) == "by 4242424242424242."
    assert has_card_number(f"by {text}.")


@pytest.mark.parametrize("text", ["", "4242", "order 1234567890123", "a4242424242424242", "4242424242424243"])
def test_a_text_without_one_has_none(text: str):
    assert not has_card_number(text)


def test_any_number_of_digits_takes_as_long_as_it_takes_to_read_them():
    text = "1 " * 250_000
    assert without_card_numbers(text, lambda _digits: "") == text


def test_what_is_put_instead_is_told_the_digits():
    text = "paid by 4242-4242-4242-4242, order 1234567890123"
    assert without_card_numbers(text, lambda digits: digits[-4:]) == "paid by 4242, order 1234567890123"

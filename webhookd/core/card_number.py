"""Card numbers in a text, so that no log and no page shows one. Pure."""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate

DIGITS_MIN, DIGITS_MAX = 13, 19
_BETWEEN = "[- +\u00a0\u2007\u2009\u202f\u2010-\u2015]{1,3}"
"""What parts the groups of a number: blanks and dashes of all kinds, and the blank of a form."""
_RUN = re.compile(rf"(?<!\w)\d++(?:{_BETWEEN}\d++)*(?!\w)")
_DIGITS = re.compile(r"\d+")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""The digits of twice a digit, summed up."""


def is_card_number(digits: str) -> bool:
    """13 to 19 digits that end in the check digit of ISO/IEC 7812; of 13 only Visa's old ones, which begin with 4.

    So the milliseconds of a time, which have 13 too, are none.
    """
    return _first([digits]) is not None


def has_card_number(text: str) -> bool:
    """Whether `without_card_numbers` would replace something."""
    return len(text) >= DIGITS_MIN and any(_first(_DIGITS.findall(run)) is not None for run in _RUN.findall(text))


def without_card_numbers(text: str, instead: Callable[[str], str]) -> str:
    """The text with something else instead of each card number; `instead` is told its digits.

    Digits may stand in groups, with blanks or dashes between. Where only some of the groups are a card number, an
    expiry date beside it, say, all of them are replaced.
    """

    def replaced(found: re.Match[str]) -> str:
        digits = _first(_DIGITS.findall(found[0])) if len(found[0]) >= DIGITS_MIN else None
        return found[0] if digits is None else instead(digits)

    return _RUN.sub(replaced, text)


def _first(groups: Sequence[str]) -> str | None:
    """The first card number that some of the groups make, one after the other. As long as it takes to read them."""
    digits = "".join(groups)
    edges = [0, *accumulate(map(len, groups))]
    ends = {*edges}
    values = [*map(int, digits)]
    # From the last digit on every other one is doubled: which those are, an even or an odd end decides.
    sums = [
        [0, *accumulate(_DOUBLED[value] if place % 2 == parity else value for place, value in enumerate(values))]
        for parity in (0, 1)
    ]
    for start in edges:
        for end in range(start + DIGITS_MIN, min(start + DIGITS_MAX, len(digits)) + 1):
            sum_to = sums[end % 2]
            is_one = end in ends and (sum_to[end] - sum_to[start]) % 10 == 0
            if is_one and (end - start > DIGITS_MIN or values[start] == 4):
                return digits[start:end]
    return None

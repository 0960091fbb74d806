"""Card numbers in a text, so that no log and no page shows one. Pure."""

import re
from collections.abc import Callable

_DIGITS = re.compile(r"(?<!\w)\d(?:[ -]?\d){12,18}(?!\w)")


def is_card_number(digits: str) -> bool:
    """13 to 19 digits that end in the check digit of ISO/IEC 7812; of 13 only Visa's old ones, which begin with 4.

    So the milliseconds of a time, which have 13 too, are none.
    """
    if not 13 <= len(digits) <= 19 or (len(digits) == 13 and int(digits[0]) != 4):
        return False
    plain, doubled = [*map(int, digits[-1::-2])], [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(plain) + sum(number - 9 * (number > 9) for number in doubled)) % 10 == 0


def without_card_numbers(text: str, instead: Callable[[str], str]) -> str:
    """The text with something else instead of each card number; `instead` is told its digits.

    Digits may stand in groups, with blanks or hyphens between. Where only some of the groups are a card number, an
    expiry date beside it, say, all of them are replaced.
    """

    def replaced(found: re.Match[str]) -> str:
        groups = re.split("[ -]", found[0])
        for first in range(len(groups)):
            for last in range(first, len(groups)):
                if is_card_number(digits := "".join(groups[first : last + 1])):
                    return instead(digits)
        return found[0]

    return _DIGITS.sub(replaced, text)

"""Row 62 to the second: who guesses is slowed, more and more; who is right is never asked."""

from collections.abc import Iterable

import pytest

from webhookd.admin.door.guessing import (
    DELAY_S,
    DELAY_S_MAX,
    FORGIVEN_S,
    OF_ALL_STRANGERS,
    OF_ONE_ADDRESS,
    Guessing,
    Slowed,
)
from webhookd.core.by_address import ADDRESSES_MAX

pytestmark = pytest.mark.fault(51)

A, B = "192.0.2.1", "192.0.2.2"


def wrong(guessing: Guessing, address: str, seconds: Iterable[float]) -> list[Slowed | None]:
    return [guessing.wrong(address, each) for each in seconds]


def test_the_sixth_wrong_token_within_a_minute_is_one_too_many():
    guessing = Guessing()
    *five, sixth = wrong(guessing, A, [0, 10, 20, 30, 40, 59.9])
    assert five == [None] * 5
    assert sixth == Slowed(60, is_news=True)


def test_five_a_minute_are_just_wrong_for_ever_or_until_there_are_too_many_of_strangers():
    found = wrong(Guessing(), A, [number * 12.1 for number in range(OF_ALL_STRANGERS.count)])
    assert found == [None] * OF_ALL_STRANGERS.count


def test_each_refusal_doubles_the_wait_up_to_a_bound_and_only_the_first_is_news():
    guessing = Guessing()
    wrong(guessing, A, [0] * 5)
    refused = [each for each in wrong(guessing, A, range(1, 2_000)) if each is not None]
    assert refused[:5] == [Slowed(60, True), *(Slowed(wait, False) for wait in (120, 240, 480, 900))]
    assert {each.wait_s for each in refused[5:]} == {DELAY_S_MAX}
    assert not any(each.is_news for each in refused[1:])


def test_who_waits_as_long_as_was_said_is_told_again_what_is_wrong():
    guessing = Guessing()
    wrong(guessing, A, [0] * 6)
    assert guessing.wrong(A, DELAY_S - 0.1) is not None
    assert guessing.wrong(A, DELAY_S - 0.1 + 2 * DELAY_S) is None


def test_the_wait_goes_on_growing_for_an_hour_and_begins_anew_after_it():
    guessing = Guessing()
    wrong(guessing, A, [0] * 6)
    [*_, again] = wrong(guessing, A, [1_000] * 6)
    assert again == Slowed(120, is_news=False)
    [*_, forgiven] = wrong(guessing, A, [1_000 + 120 + FORGIVEN_S + 1] * 6)
    assert forgiven == Slowed(60, is_news=True)


def test_another_address_is_not_concerned():
    guessing = Guessing()
    assert guessing.wrong(B, 0) is None
    wrong(guessing, A, [0] * 100)
    assert guessing.wrong(B, 0) is None


def test_strangers_all_together_are_slowed_and_only_the_first_of_an_hour_is_news():
    guessing = Guessing()
    strangers = [f"198.51.100.{number}" for number in range(OF_ALL_STRANGERS.count + 3)]
    *known, first, second, third = [guessing.wrong(each, number) for number, each in enumerate(strangers)]
    assert known == [None] * OF_ALL_STRANGERS.count
    assert (first, second, third) == (Slowed(3_500, True), Slowed(3_499, False), Slowed(3_498, False))
    assert guessing.wrong("198.51.100.200", 3_600) is None


def test_strangers_do_not_slow_an_address_that_a_right_token_came_from():
    guessing = Guessing()
    guessing.right(A)
    for number in range(OF_ALL_STRANGERS.count + 1):
        slowed = guessing.wrong(f"198.51.100.{number}", 0)
    assert slowed is not None
    assert wrong(guessing, A, [1] * OF_ONE_ADDRESS.count) == [None] * OF_ONE_ADDRESS.count
    assert guessing.wrong(A, 1) is not None


def test_what_is_refused_anyway_is_not_counted_against_strangers():
    guessing = Guessing()
    wrong(guessing, A, [0] * 1_000)
    assert guessing.wrong(B, 0) is None


def test_how_much_an_operator_hears_is_bounded_whatever_comes():
    """From any number of addresses, each trying for an hour."""
    guessing = Guessing()
    news = [
        slowed.is_news
        for second in range(0, 3_600, 60)
        for number in range(200)
        for _ in range(6)
        if (slowed := guessing.wrong(f"198.51.100.{number}", second)) is not None
    ]
    assert 0 < sum(news) <= OF_ALL_STRANGERS.count / OF_ONE_ADDRESS.count + 1


def test_memory_is_bounded_whatever_comes():
    guessing = Guessing()
    for number in range(ADDRESSES_MAX + 100):
        guessing.wrong(str(number), 0)
    assert len(guessing._addresses) == ADDRESSES_MAX

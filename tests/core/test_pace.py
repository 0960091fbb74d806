"""How many attempts may be under way: slow start, and half of it when the endpoint asks for less."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.pace import Pace


def a_round(pace: Pace) -> int:
    """All that may be under way succeed; how many that were."""
    count = pace.limit
    for _ in range(count):
        pace.succeeded()
    return count


def test_after_a_start_it_doubles_every_round_up_to_the_most_that_was_asked_for():
    pace = Pace(20)
    assert [a_round(pace) for _ in range(7)] == [1, 2, 4, 8, 16, 20, 20]


def test_asked_to_slow_down_it_halves_and_then_grows_by_one_a_round():
    pace = Pace(16)
    while pace.limit < 16:
        pace.succeeded()
    pace.slow_down()
    assert pace.limit == 8
    sizes = [a_round(pace) for _ in range(6)]
    assert sizes[0] == 8
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(sizes))
    assert sizes[-1] > 10, "it does grow again"


def test_after_an_outage_it_begins_with_one_again():
    pace = Pace(8)
    a_round(pace)
    a_round(pace)
    pace.start_over()
    assert [a_round(pace) for _ in range(4)] == [1, 2, 4, 8]


@given(st.integers(1, 300), st.lists(st.sampled_from(["succeeded", "slow_down", "start_over"]), max_size=300))
def test_whatever_happens_it_lies_between_one_and_the_most(most: int, happenings: list[str]):
    pace = Pace(most)
    for happening in happenings:
        getattr(pace, happening)()
        assert 1 <= pace.limit <= most


@pytest.mark.parametrize("most", [1, 3])
def test_a_smaller_most_holds_at_once(most: int):
    pace = Pace(64)
    for _ in range(100):
        pace.succeeded()
    pace.most = most
    assert pace.limit == most

"""When a breaker opens, how long it waits, and what closes it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.breaker import Breaker, BreakerPolicy, Health

NOW = 1_800_000_000_000
POLICY = BreakerPolicy()


def failed(breaker: Breaker, times: int, now_ms: int = NOW) -> list[bool]:
    return [breaker.failed(now_ms) for _ in range(times)]


def opened(trips: int = 1) -> tuple[Breaker, int]:
    """A breaker that has opened so often, and when its next probe may start."""
    breaker, now = Breaker(), NOW
    failed(breaker, POLICY.failures_in_a_row, now)
    for _ in range(trips - 1):
        now = retry_at(breaker)
        breaker.failed(now)
    return breaker, retry_at(breaker)


def retry_at(breaker: Breaker) -> int:
    assert breaker.health.retry_at is not None
    return breaker.health.retry_at


def test_it_opens_with_the_last_of_so_many_failures_in_a_row():
    breaker = Breaker()
    assert failed(breaker, POLICY.failures_in_a_row) == [False] * (POLICY.failures_in_a_row - 1) + [True]
    assert breaker.state(NOW) == "open"


def test_a_success_between_begins_the_count_again():
    breaker = Breaker()
    failed(breaker, POLICY.failures_in_a_row - 1)
    breaker.succeeded(NOW)
    assert not any(failed(breaker, POLICY.failures_in_a_row - 1))


def test_it_opens_when_too_large_a_share_of_the_last_attempts_failed():
    breaker, opening = Breaker(), []
    for number in range(POLICY.attempts_min):
        if number % 4 == 0:
            breaker.succeeded(NOW)
        else:
            opening.append(breaker.failed(NOW))
    assert opening == [False] * (len(opening) - 1) + [True], "three in four, never five in a row"


def test_failures_that_lie_far_apart_are_no_failure_rate():
    breaker, now = Breaker(), NOW
    for number in range(10 * POLICY.attempts_min):
        now += POLICY.window_ms // 2
        if number % 4 == 0:
            breaker.succeeded(now)
        else:
            assert not breaker.failed(now)


def test_half_open_after_its_wait_a_success_closes_it_and_a_failure_doubles_the_wait():
    breaker, at = opened()
    assert (breaker.state(at - 1), breaker.state(at)) == ("open", "half_open")
    assert breaker.failed(at)
    assert retry_at(breaker) - at == 2 * POLICY.first_wait_ms
    breaker.succeeded(retry_at(breaker))
    assert breaker.state(at) == "closed"


def test_the_wait_doubles_up_to_a_bound_and_stays_there():
    waits = []
    for trips in range(1, 15):
        breaker, at = opened(trips)
        waits.append(at - opened_at(breaker))
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert waits[-1] == POLICY.wait_max_ms


def opened_at(breaker: Breaker) -> int:
    wait = min(POLICY.first_wait_ms << (breaker.health.trips - 1), POLICY.wait_max_ms)
    return retry_at(breaker) - wait


def test_one_success_after_many_trips_does_not_yet_make_the_next_wait_short():
    breaker, at = opened(4)
    breaker.succeeded(at)
    failed(breaker, POLICY.failures_in_a_row, at)
    assert retry_at(breaker) - at == 80_000
    breaker, at = opened(4)
    for _ in range(POLICY.failures_in_a_row):
        breaker.succeeded(at)
    failed(breaker, POLICY.failures_in_a_row, at)
    assert retry_at(breaker) - at == POLICY.first_wait_ms, "well again, all is forgotten"


def test_what_was_under_way_before_it_opened_neither_lengthens_its_wait_nor_counts_as_the_probe():
    breaker, at = opened()
    assert not any(failed(breaker, 10))
    assert retry_at(breaker) == at


def test_a_success_of_what_was_under_way_before_closes_it():
    breaker, _ = opened()
    breaker.succeeded(NOW)
    assert breaker.state(NOW) == "closed"


def test_it_goes_on_after_a_restart_as_it_was():
    breaker, at = opened(3)
    again = Breaker(breaker.health)
    assert (again.state(at - 1), again.state(at)) == ("open", "half_open")
    assert again.failed(at)
    assert retry_at(again) - at == 40_000


@pytest.mark.fault(25)
def test_a_clock_that_was_set_back_does_not_keep_it_open_for_longer_than_the_longest_wait():
    breaker, at = opened()
    assert breaker.state(at - POLICY.wait_max_ms - 86_400_000) == "half_open"


def test_since_when_it_fails_is_the_first_failure_that_no_success_has_followed():
    breaker = Breaker()
    failed(breaker, 2, NOW)
    breaker.succeeded(NOW + 1)
    assert breaker.health.failing_since is None
    failed(breaker, 9, NOW + 5)
    failed(breaker, 1, NOW + 50_000)
    assert breaker.health.failing_since == NOW + 5


@pytest.mark.parametrize("field", ["failures_in_a_row", "attempts_min"])
def test_the_figures_are_a_policys(field: str):
    policy: Any = BreakerPolicy(**{field: 2, "failing_share": 0.4})
    breaker = Breaker(policy=policy)
    breaker.succeeded(NOW)
    breaker.failed(NOW)
    assert (breaker.state(NOW) == "open") == (field == "attempts_min")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1_000_000)), max_size=200))
def test_whatever_happens_it_is_open_exactly_as_long_as_it_says_and_a_success_is_the_only_way_out(
    happenings: list[tuple[bool, int]],
):
    breaker, now = Breaker(), NOW
    for well, gap in happenings:
        now += gap
        before = breaker.health
        if well:
            breaker.succeeded(now)
            assert breaker.health.breaker == "closed"
            assert breaker.health.failing_since is None
        else:
            tripped = breaker.failed(now)
            assert tripped == (breaker.health.retry_at != before.retry_at)
            assert breaker.health.failing_since is not None
            assert before.breaker == "closed" or breaker.health.breaker == "open"
        assert (breaker.health.breaker == "open") == (breaker.health.retry_at is not None)
        assert Health(**{name: getattr(breaker.health, name) for name in Health.__struct_fields__}) == breaker.health

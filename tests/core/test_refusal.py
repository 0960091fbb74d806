"""What several refused hooks say together: whether it is a clock that is wrong."""

from typing import Any

import pytest

from webhookd.core.refusal import CLOCK_HOOKS_MIN, STALE_TIMESTAMP, Refusal, clock_off_ms

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def refused(number: int, age_ms: int | None, **fields: Any) -> Refusal:
    at = NOW_MS + number * 10_000
    given: dict[str, Any] = {
        "number": number,
        "at": at,
        "source": "stripe",
        "path": "/webhooks/stripe",
        "reason": STALE_TIMESTAMP,
        "status": 401,
        "address": "192.0.2.1",
        "method": "POST",
        "size": 2,
        "content_type": None,
        "user_agent": None,
        "signature": (),
        "signed_at": None if age_ms is None else at - age_ms,
        "sha256": None,
        **fields,
    }
    return Refusal(**given)


@pytest.mark.parametrize("age_ms", [HOUR_MS, -HOUR_MS])
def test_hooks_that_are_all_off_by_the_same_tell_of_a_clock_and_by_how_much(age_ms: int):
    found = clock_off_ms(refused(number, age_ms + number * 1_000) for number in range(3))
    assert found == age_ms + 1_000


def test_hooks_that_waited_are_late_by_different_times_and_tell_nothing():
    assert clock_off_ms(refused(number, HOUR_MS * (number + 1)) for number in range(5)) is None


def test_it_takes_more_than_two():
    assert CLOCK_HOOKS_MIN == 3
    assert clock_off_ms(refused(number, HOUR_MS) for number in range(2)) is None


def test_one_hook_that_somebody_repeats_tells_nothing():
    signed_at = NOW_MS - HOUR_MS
    assert clock_off_ms(refused(number, HOUR_MS, signed_at=signed_at) for number in range(9)) is None


@pytest.mark.parametrize("reason", ["wrong_signature", "malformed_signature"])
def test_only_who_signed_with_a_right_secret_is_believed_about_the_time(reason: str):
    assert clock_off_ms(refused(number, HOUR_MS, reason=reason) for number in range(5)) is None


def test_hooks_without_a_time_tell_nothing():
    assert clock_off_ms(refused(number, None) for number in range(5)) is None

"""When a failed delivery is tried again."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.retry import RetryPolicy, parse_retry_after

S, M, H = 1_000, 60_000, 3_600_000
DAY = 24 * H
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
JITTERS = st.floats(-1, 1)
WAITS = st.lists(st.integers(0, 2 * DAY), min_size=1, max_size=12).map(tuple)


def test_the_default_schedule_makes_ten_attempts_over_three_days() -> None:
    waits = RetryPolicy().waits_ms
    assert waits == (0, 5 * S, 5 * M, 30 * M, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H)
    assert 3 * DAY <= sum(waits) <= 4 * DAY


def test_without_jitter_the_waits_are_those_of_the_schedule_and_then_there_are_none() -> None:
    policy = RetryPolicy((0, 10, 20, 30), jitter=0)
    assert [policy.wait_ms(step, 0.7) for step in (1, 2, 3, 4, 5)] == [10, 20, 30, None, None]


def test_a_schedule_of_one_wait_makes_one_attempt() -> None:
    assert RetryPolicy((0,)).wait_ms(1, 0) is None


@given(WAITS, st.floats(0, 1), JITTERS, st.integers(1, 11))
def test_jitter_moves_a_wait_by_no_more_than_its_share(
    waits: tuple[int, ...], share: float, jitter: float, step: int
) -> None:
    wait = RetryPolicy(waits, share).wait_ms(step, jitter)
    if step >= len(waits):
        assert wait is None
    else:
        assert wait is not None
        assert waits[step] * (1 - share) - 1 <= wait <= waits[step] * (1 + share) + 1
        assert wait >= 0


def test_jitter_really_spreads_the_waits() -> None:
    policy = RetryPolicy((0, 1_000), jitter=0.2)
    assert [policy.wait_ms(1, jitter) for jitter in (-1, 0, 1)] == [800, 1_000, 1_200]


def test_a_longer_retry_after_wins_and_a_shorter_one_does_not() -> None:
    policy = RetryPolicy((0, 5 * S), jitter=0)
    assert policy.wait_ms(1, 0, 60 * S) == 60 * S
    assert policy.wait_ms(1, 0, 1 * S) == 5 * S
    assert policy.wait_ms(1, 0, 0) == 5 * S


def test_a_merchant_cannot_put_off_its_deliveries_by_more_than_a_day() -> None:
    assert RetryPolicy((0, 5 * S), jitter=0).wait_ms(1, 0, 10**12) == DAY


def test_retry_after_buys_no_attempt_beyond_the_schedule() -> None:
    assert RetryPolicy((0, 5 * S)).wait_ms(2, 0, 60 * S) is None


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("120", 120 * S),
        (" 120 ", 120 * S),
        ("0000000000120", 120 * S),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 5_000, DAY),
    ],
)
def test_retry_after_may_be_seconds_up_to_a_day(text: str, milliseconds: int) -> None:
    assert parse_retry_after(text, NOW_MS) == milliseconds


def test_retry_after_may_be_a_date() -> None:
    at = format_datetime(NOW + timedelta(minutes=3), usegmt=True)
    assert parse_retry_after(at, NOW_MS) == 3 * M


def test_a_retry_after_date_in_the_past_means_now_and_a_far_one_a_day() -> None:
    assert parse_retry_after(format_datetime(NOW - timedelta(days=3), usegmt=True), NOW_MS) == 0
    assert parse_retry_after(format_datetime(NOW + timedelta(days=3), usegmt=True), NOW_MS) == DAY


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 01 Mar 2026 12:03:00 GMT",
        "Sunday, 01-Mar-26 12:03:00 GMT",
        "Sun Mar  1 12:03:00 2026",
        "Sun, 01 Mar 2026 12:03:00 -0000",
    ],
)
def test_every_form_of_http_date_is_read_as_gmt_wherever_the_server_stands(time_zone: str, text: str) -> None:
    assert parse_retry_after(text, NOW_MS) == 3 * M


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "+5",
        "1.5",
        "5s",
        "1e3",
        "٥",
        "Sun, 99 Foo 2026 12:00:00 GMT",
        "Sun, 01 Mar 99999999999 12:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:00 +99999999999999",
        "\x00",
        ",",
        "0-0-0",
    ],
)
def test_a_retry_after_that_makes_no_sense_is_ignored(text: str) -> None:
    assert parse_retry_after(text, NOW_MS) is None


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} [\d:]{1,9} [-+A-Z\d]{0,6}"))
def test_no_answer_of_a_merchant_can_break_or_stall_the_retry(text: str) -> None:
    found = parse_retry_after(text, NOW_MS)
    assert found is None or 0 <= found <= DAY

"""At most so many in any stretch of so long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.rate_limit import COUNT_MAX, RateLimit, RateWindow


@pytest.mark.parametrize(
    ("text", "limit"),
    [("50/s", RateLimit(50, 1_000)), ("3000/m", RateLimit(3_000, 60_000)), (" 1/h ", RateLimit(1, 3_600_000))],
)
def test_a_rate_is_a_count_a_second_minute_or_hour_and_is_written_back_the_same(text: str, limit: RateLimit):
    assert RateLimit.parse(text) == limit
    assert RateLimit.parse(str(limit)) == limit


@pytest.mark.parametrize(
    "text", ["", "50", "0/s", "-1/s", "1.5/s", "50/d", "50 / s", "s/50", f"{COUNT_MAX + 1}/s", "٥/s", "9" * 400 + "/s"]
)
def test_what_is_not_a_rate_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="50/s"):
        RateLimit.parse(text)


@given(
    st.builds(RateLimit, st.integers(1, 20), st.sampled_from([1_000, 60_000])),
    st.lists(st.integers(0, 20_000), min_size=1, max_size=200),
)
def test_no_stretch_wherever_it_begins_holds_more_than_the_limit_and_none_waits_longer_than_it_must(
    limit: RateLimit, gaps: list[int]
):
    window, now, started = RateWindow(limit), 0.0, []
    for gap in gaps:
        now = max(now + gap, window.opens_at())
        if len(started) >= limit.count and now > started[-1] + gap:
            assert now == started[-limit.count] + limit.per_ms, "it waited longer than it must"
        window.start(now)
        started.append(now)
    for begin in started:
        assert sum(begin <= at < begin + limit.per_ms for at in started) <= limit.count

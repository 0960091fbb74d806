"""Several minutes as one."""

from webhookd.core.minute import Minute, folded

HOUR = 30_000_000
"""A minute that begins an hour."""


def test_counts_are_summed_and_the_backlog_is_that_of_the_end():
    made = folded([Minute(HOUR, 1, 2, 3, 4, 5, 6, 7), Minute(HOUR + 1, 10, 20, 30, 40, 50, 60, 3)], 10)
    assert made == [Minute(HOUR, 11, 22, 33, 44, 55, 66, 3)]


def test_of_percentiles_the_middle_and_the_highest_count_and_those_without_any_do_not():
    ack = [(2.0, 9.0), (None, None), (4.0, 30.0), (3.0, 10.0)]
    minutes = [
        Minute(HOUR + place, ack_p50_ms=p50, ack_p99_ms=p99, delivery_p50_ms=p50, delivery_p99_ms=p99)
        for place, (p50, p99) in enumerate(ack)
    ]
    [made] = folded(minutes, 10)
    assert (made.ack_p50_ms, made.ack_p99_ms) == (3.0, 30.0)
    assert (made.delivery_p50_ms, made.delivery_p99_ms) == (3.0, 30.0)


def test_of_none_at_all_there_is_none():
    [made] = folded([Minute(HOUR), Minute(HOUR + 1)], 10)
    assert made == Minute(HOUR)


def test_they_are_cut_where_ten_minutes_end_by_the_clock():
    made = folded([Minute(HOUR + each, accepted=1) for each in range(5, 25)], 10)
    assert [(minute.number - HOUR, minute.accepted) for minute in made] == [(0, 5), (10, 10), (20, 5)]


def test_one_is_what_it_is():
    minutes = [Minute(HOUR + 3, 1), Minute(HOUR + 4, 2)]
    assert folded(minutes, 1) == minutes

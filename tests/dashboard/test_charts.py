"""What a chart makes of numbers: lines with their gaps, bars, round ticks, and what it says in words."""

import pytest

from webhookd.admin.dashboard.charts import (
    Series,
    bar_chart,
    line_chart,
    ms_text,
    number_text,
    round_step,
    sparkline,
)

NOON = 1_800_014_400_000
MINUTE = 60_000


def minutes(count: int) -> list[int]:
    return [NOON + each * MINUTE for each in range(count)]


def test_a_line_goes_from_edge_to_edge_and_its_highest_value_stays_below_the_top():
    [shape] = line_chart("Events", minutes(3), [Series("in", [0, 9, 5])]).shapes
    assert shape.path == "M0 100L500 10L1000 50"
    assert shape.area == "M0 100L0 100L500 10L1000 50L1000 100Z"


def test_a_gap_stays_a_gap():
    [shape] = line_chart("Latency", minutes(6), [Series("p50", [10.0, 10.0, None, None, 5.0, 5.0])]).shapes
    assert shape.path.count("M") == 2
    assert shape.area.count("Z") == 2


def test_a_value_alone_between_two_gaps_is_seen():
    [shape] = line_chart("Latency", minutes(5), [Series("p50", [None, None, 8.0, None, None])]).shapes
    assert shape.path == "M437.5 0L562.5 0"
    assert shape.area == ""


def test_what_is_still_being_counted_is_a_stretch_of_its_own():
    [shape] = line_chart("Events", minutes(3), [Series("in", [10, 10, 1])], is_running=True).shapes
    assert shape.path == "M0 0L500 0"
    assert shape.running == "M500 0L1000 90"


def test_where_there_is_no_value_at_all_nothing_is_drawn_and_it_says_so():
    chart = line_chart("Latency", minutes(2), [Series("p50", [None, None])])
    assert chart.is_empty
    assert chart.says == "Latency: nothing in this time"


def test_no_time_at_all_is_no_mistake():
    assert line_chart("Latency", [], [Series("p50", [])]).is_empty
    assert bar_chart("Revenue", [], [Series("gross", [])]).is_empty
    assert bar_chart("Revenue", [], []).is_empty
    assert sparkline("Attempts", [Series("delivered", [])]).is_empty


def test_only_zeros_are_a_line_on_the_ground():
    chart = line_chart("Failures", minutes(2), [Series("failed", [0, 0])])
    assert chart.shapes[0].path == "M0 100L1000 100"
    assert [tick.text for tick in chart.ticks_y] == ["0", "1"]


@pytest.mark.parametrize(
    ("highest", "whole", "step"),
    [(0, True, 1), (1, True, 1), (3, True, 1), (7, True, 2), (40, True, 10), (999, True, 500), (0.3, False, 0.1)],
)
def test_ticks_are_round_and_few(highest: float, whole: bool, step: float):
    assert round_step(highest, whole=whole) == pytest.approx(step)


def test_a_count_has_no_ticks_between_whole_numbers():
    chart = line_chart("Events", minutes(2), [Series("in", [1, 2])])
    assert [tick.text for tick in chart.ticks_y] == ["0", "1", "2"]


def test_times_are_round_and_where_they_belong():
    chart = line_chart("Events", minutes(61), [Series("in", [1] * 61)])
    assert [(tick.at, tick.text) for tick in chart.ticks_x][:3] == [(0, "12:00"), (16.7, "12:10"), (33.3, "12:20")]
    day = [NOON + each * 10 * MINUTE for each in range(145)]
    assert [tick.text for tick in line_chart("Events", day, [Series("in", [1] * 145)]).ticks_x] == [
        *("12:00", "16:00", "20:00", "00:00", "04:00", "08:00", "12:00")
    ]


def test_bars_are_stacked_in_their_order():
    chart = bar_chart("Revenue", ["1 May", "2 May"], [Series("net", [60, 0]), Series("refunded", [40, None], 3)])
    net, refunded = chart.shapes
    assert net.path == "M50 40h400v60h-400z"
    assert refunded.path == "M50 0h400v40h-400z"
    assert (net.color, refunded.color) == (1, 3)
    assert [tick.at for tick in chart.ticks_x] == [25, 75]


def test_of_many_bars_only_some_are_named():
    chart = bar_chart("Revenue", [str(each) for each in range(31)], [Series("net", [1] * 31)])
    assert len(chart.ticks_x) == 6
    assert len(chart.rows) == 31


def test_a_chart_says_what_it_shows_and_has_its_figures():
    chart = line_chart("Acknowledged", minutes(3), [Series("p50", [1.5, None, 2.0])], show=ms_text)
    assert chart.says == "Acknowledged: p50 from 1.5 ms to 2 ms, at the end 2 ms"
    assert chart.names == ["p50"]
    assert chart.rows == [("12:00", ["1.5 ms"]), ("12:01", ["–"]), ("12:02", ["2 ms"])]


def test_figures_are_exact_where_the_axis_is_short():
    chart = line_chart("Events", minutes(2), [Series("in", [12_345, 0])])
    assert chart.ticks_y[-1].text == "15k"
    assert chart.rows[0] == ("12:00", ["12,345"])


def test_a_sparkline_says_the_sums():
    chart = sparkline("Last hour", [Series("delivered", [1, 2]), Series("failed", [0, 1], 3)])
    assert chart.says == "Last hour: 3 delivered, 1 failed"
    assert [shape.path for shape in chart.shapes] == [
        "M0 66.7h500v33.3h-500zM500 33.3h500v66.7h-500z",
        "M500 0h500v33.3h-500z",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (950, "950"), (9_999, "9,999"), (12_500, "12.5k"), (3e6, "3M"), (2.5e9, "2.5G")],
)
def test_numbers_are_short(value: float, text: str):
    assert number_text(value) == text


@pytest.mark.parametrize(("ms", "text"), [(0.5, "0.5 ms"), (42, "42 ms"), (1_500, "1.5 s"), (180_000, "3 min")])
def test_milliseconds_are_read_easily(ms: float, text: str):
    assert ms_text(ms) == text

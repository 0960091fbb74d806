"""Pictures of figures: what a curve of percentiles may say, and that a picture comes out."""

import pytest

from bench.rig.picture import DARK, LIGHT, Moment, bars, curve, inline, lines, percentiles

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_curve_ends_where_its_values_do():
    assert curve([float(n) for n in range(1000)])[-1] == (99.9, 999.0)


def test_a_curve_goes_through_the_percentiles_of_its_values_whatever_their_order():
    values = dict(curve([float(n) for n in reversed(range(10))]))
    assert values == {0: 0, 10: 1, 20: 2, 30: 3, 40: 4, 50: 5, 60: 6, 70: 7, 80: 8, 90: 9}


def test_a_curve_of_many_values_has_no_more_points_than_can_be_seen():
    points = curve([float(n) for n in range(100_000)])
    assert len(points) <= 401
    assert points == sorted(points)


def test_nothing_cannot_be_drawn():
    with pytest.raises(ValueError, match="nothing to draw"):
        curve([])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_each_kind_of_picture_is_a_png(theme):
    assert percentiles({"a": [1.0], "b": [1.0, 2.0, 90.0]}, "t", asked_ms=8, theme=theme).startswith(PNG)
    assert bars({"a": 1.0, "b": 0.0}, "t", unit="ms", accent="a", theme=theme).startswith(PNG)
    moments = [Moment(1, "kill"), Moment(2, "kill"), Moment(1, "outage", until=2)]
    assert lines({"a": [(0, 0), (3, 4)]}, "t", y="events", moments=moments, theme=theme).startswith(PNG)


def test_a_picture_can_stand_in_a_page():
    assert inline(b"abc") == "data:image/png;base64,YWJj"

"""Series of numbers as pictures: geometry and texts, which the macros of `charts.html` draw as SVG.

A picture is WIDTH × HEIGHT and is stretched to the room there is; ticks are put in percent of it, so that their text
keeps its size on any screen. How to draw one:

    visit.show("x.html", chart=line_chart("Events", times, [Series("in", taken), Series("out", made)]))
    {% from "charts.html" import lines, bars, spark %}{{ lines("events", chart) }}

Each says in words what it shows, and has its figures for a table, for who cannot see it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from math import ceil, log10
from typing import NamedTuple

WIDTH, HEIGHT = 1_000, 100
TICKS_X, TICKS_Y = 6, 4
"""At most; and about so many."""
_MINUTE = 60_000
_STEPS_MS = [
    *(_MINUTE * each for each in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)),
    *(_MINUTE * 1_440 * each for each in (1, 2, 7, 14, 28, 91, 182, 365)),
]
Show = Callable[[float], str]
"""How a number is written at the axis and in the table."""


class Series(NamedTuple):
    name: str
    values: Sequence[float | None]
    """None is a gap: nothing is known, or there was nothing to measure."""
    color: int = 0
    """1 blue, 2 green, 3 red, 4 amber; 0: by its place among the others."""


class Tick(NamedTuple):
    at: float
    """Percent: from the left, or from the top."""
    text: str


class Shape(NamedTuple):
    name: str
    color: int
    path: str
    area: str = ""
    """What is below a line, to be filled."""
    running: str = ""
    """The end of a line that is not final: its last value is still being counted."""


class Chart(NamedTuple):
    title: str
    says: str
    """What there is to see, in a sentence."""
    shapes: Sequence[Shape]
    ticks_x: Sequence[Tick]
    ticks_y: Sequence[Tick]
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    """The figures: when or what, and a text for each name."""
    of: str
    """What the first column of the figures is."""

    @property
    def is_empty(self) -> bool:
        return not self.shapes


def number_text(value: float) -> str:
    """Short: "950", "0.25", "12.5k", "3M"."""
    for each, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(each, 1e4):
            return f"{value / each:.1f}".removesuffix(".0") + unit
    return exact_text(value)


def exact_text(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2g}"


def ms_text(value: float) -> str:
    """Of milliseconds: "0.5 ms", "42 ms", "1.5 s", "3 min"."""
    if value >= 120_000:
        return f"{value / 60_000:.3g} min"
    return f"{value / 1_000:.3g} s" if value >= 1_000 else f"{value:.3g} ms"


def line_chart(
    title: str, times: Sequence[int], series: Sequence[Series], *, show: Show = number_text, is_running: bool = False
) -> Chart:
    """Lines over time. `times` are Unix milliseconds, ascending, one for each value; they are shown in UTC.

    `is_running`: the last value is not final, and its stretch of the lines is dashed.
    """
    top, ticks_y = _axis(series, show)
    first, last = (times[0], times[-1]) if times else (0, 0)
    ticks_x = [
        Tick(_short(100 * (at - first) / (last - first)), text) for at, text in _times(first, last) if last > first
    ]
    shapes = [] if top is None else [_line(each, number, top, is_running) for number, each in _colored(series)]
    texts = [_time_text(at, last - first) for at in times]
    return Chart(
        title, _gist(title, series, show), shapes, ticks_x, ticks_y, *_figures(series, texts, show), "Time (UTC)"
    )


def bar_chart(
    title: str, labels: Sequence[str], series: Sequence[Series], *, of: str = "Day", show: Show = number_text
) -> Chart:
    """Bars, one for each label, on which the series are stacked in their order. Values below zero are not shown."""
    top, ticks_y = _axis([Series("", _sums(series))], show) if series else (None, [])
    every = ceil(len(labels) / TICKS_X) or 1
    ticks_x = [
        Tick(_short(100 * (place + 0.5) / len(labels)), text) for place, text in enumerate(labels) if place % every == 0
    ]
    shapes = [] if top is None else _stacked(series, top, gap=0.2)
    return Chart(title, _gist(title, series, show), shapes, ticks_x, ticks_y, *_figures(series, labels, show), of)


def sparkline(title: str, series: Sequence[Series]) -> Chart:
    """Small stacked bars without axes or figures, for a row of a table; `says` has the sums."""
    sums = ", ".join(f"{number_text(sum(filter(None, each.values)))} {each.name}" for each in series)
    highest = max(filter(None, _sums(series)), default=0)
    return Chart(title, f"{title}: {sums}", _stacked(series, highest, gap=0) if highest else [], [], [], [], [], "")


# --- Shapes


def _line(series: Series, color: int, top: float, is_running: bool) -> Shape:
    """A line for each stretch without gaps. A value alone between two is a short line."""
    step = WIDTH / max(len(series.values) - 1, 1)
    points = [
        None if value is None else (_short(place * step), _short(HEIGHT - HEIGHT * value / top))
        for place, value in enumerate(series.values)
    ]
    running = ""
    if is_running and len(points) > 1 and points[-1] is not None and points[-2] is not None:
        running = _path(points[-2:], step)
        points = points[:-1]
    stretches = list(_stretches(points))
    path = "".join(_path(each, step) for each in stretches)
    area = "".join(
        f"M{each[0][0]:g} {HEIGHT}{''.join(f'L{x:g} {y:g}' for x, y in each)}L{each[-1][0]:g} {HEIGHT}Z"
        for each in stretches
        if len(each) > 1
    )
    return Shape(series.name, color, path, area, running)


Point = tuple[float, float]


def _stretches(points: Iterable[Point | None]) -> Iterable[list[Point]]:
    stretch: list[Point] = []
    for point in points:
        if point is not None:
            stretch.append(point)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _path(points: Sequence[Point | None], step: float) -> str:
    known = [point for point in points if point is not None]
    if len(known) == 1:
        (x, y), half = known[0], _short(step / 4)
        return f"M{max(0, x - half):g} {y:g}L{min(WIDTH, x + half):g} {y:g}"
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in known)


def _stacked(series: Sequence[Series], top: float, gap: float) -> list[Shape]:
    """One path for each series; `gap` is how much of a bar's room is left between it and the next."""
    count = max(len(each.values) for each in series)
    room, below, shapes = WIDTH / count, [0.0] * count, []
    for color, each in _colored(series):
        path = []
        for place, value in enumerate(each.values):
            if value is not None and value > 0:
                y, height = HEIGHT - HEIGHT * (below[place] + value) / top, HEIGHT * value / top
                width = room * (1 - gap)
                path.append(f"M{_short(place * room + room * gap / 2):g} {_short(y):g}h{_short(width):g}")
                path.append(f"v{_short(height):g}h{_short(-width):g}z")
                below[place] += value
        shapes.append(Shape(each.name, color, "".join(path)))
    return shapes


def _colored(series: Sequence[Series]) -> Iterable[tuple[int, Series]]:
    return ((each.color or place % 4 + 1, each) for place, each in enumerate(series))


def _sums(series: Sequence[Series]) -> list[float | None]:
    """Of each place, what is above zero; None where nothing is known."""
    columns = zip(*(each.values for each in series), strict=True)
    return [
        sum(max(0, each) for each in column if each is not None) if any(each is not None for each in column) else None
        for column in columns
    ]


def _short(value: float) -> float:
    return round(value, 1)


# --- Axes


def _axis(series: Sequence[Series], show: Show) -> tuple[float | None, list[Tick]]:
    """The value at the top, a round one, and the ticks; None where there is no value at all."""
    values = [value for each in series for value in each.values if value is not None]
    if not values:
        return None, []
    step = round_step(max(values), whole=all(isinstance(value, int) for value in values))
    count = max(1, ceil(max(values) / step))
    return count * step, [Tick(_short(100 - 100 * each / count), show(each * step)) for each in range(count + 1)]


def round_step(highest: float, *, whole: bool) -> float:
    """1, 2 or 5 times a power of ten, so that about TICKS_Y of them reach the highest value."""
    rough = max(highest, 0) / TICKS_Y
    if rough == 0:
        return 1
    power = 10.0 ** ceil(log10(rough) - 1)
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    return max(1, round(step)) if whole else step


def _times(first: int, last: int) -> Iterable[tuple[int, str]]:
    """Round times in between, with their texts."""
    step = next((each for each in _STEPS_MS if (last - first) / each <= TICKS_X), _STEPS_MS[-1])
    at = ceil(first / step) * step
    while at <= last:
        yield at, _time_text(at, last - first)
        at += step


def _time_text(at_ms: int, span_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return f"{at:%H:%M}" if span_ms <= 2 * 1_440 * _MINUTE else f"{at.day} {at:%b}"


# --- Words


def _gist(title: str, series: Sequence[Series], show: Show) -> str:
    told = []
    for each in series:
        known = [value for value in each.values if value is not None]
        if known:
            told.append(f"{each.name} from {show(min(known))} to {show(max(known))}, at the end {show(known[-1])}")
    return f"{title}: {'; '.join(told)}" if told else f"{title}: nothing in this time"


def _figures(
    series: Sequence[Series], texts: Sequence[str], show: Show
) -> tuple[Sequence[str], Sequence[tuple[str, Sequence[str]]]]:
    if show is number_text:  # which is for where there is little room
        show = exact_text
    columns = zip(*(each.values for each in series), strict=True)
    rows = [
        (text, ["–" if value is None else show(value) for value in column])
        for text, column in zip(texts, columns, strict=True)
    ]
    return [each.name for each in series], rows

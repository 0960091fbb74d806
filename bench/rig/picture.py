"""Pictures of figures: percentiles of latencies, bars, and lines over time, in one calm style. Each is a PNG as bytes.

    Path("latency.png").write_bytes(percentiles({"200/s": ms, "500/s": more_ms}, "Hook to merchant"))

matplotlib is loaded with the first picture, so that whoever only measures does not wait for it.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = (8.0, 4.2)
_DPI = 160
_TAIL = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_POINTS = 400
_LOG_FROM = 30
"""Values that lie further apart than this, as a ratio, are drawn on a logarithmic axis."""


class Theme(NamedTuple):
    """The colours of a page that a picture stands in."""

    paper: str
    ink: str
    faint: str
    """What is there to be looked past: grids, and bars that are not the point."""
    series: Sequence[str]
    """In the order in which names are given; they can be told apart by those who see red and green as one, too."""


LIGHT = Theme(
    "#ffffff", "#24292f", "#d8dee4", ("#0b6bcb", "#d9730d", "#12826b", "#9a4dbb", "#b3261e", "#6b7280", "#a37b00")
)
DARK = Theme(
    "#0d1117", "#d1d7de", "#30363d", ("#58a6ff", "#f0a04b", "#3fc9a5", "#c792ea", "#ff7b72", "#9aa4b0", "#e3c04c")
)


class Moment(NamedTuple):
    """Something that happened at a time of a picture; a span if it has an end."""

    at: float
    name: str
    until: float | None = None


def percentiles(
    latencies_ms: Mapping[str, Sequence[float]], title: str, *, asked_ms: float | None = None, theme: Theme = LIGHT
) -> bytes:
    """A curve for each name, along an axis on which each further nine takes as much room as the one before.

    A curve ends where its values do: of a thousand the last is 99.9 %; what never came is infinity, and no curve gets
    there. `asked_ms` is drawn as a dashed line.
    """
    axes = _axes(theme, title)
    curves = {name: [(p, ms) for p, ms in curve(values) if math.isfinite(ms)] for name, values in latencies_ms.items()}
    for (name, points), colour in zip(curves.items(), _colours(theme, len(curves)), strict=True):
        # An axis of 1 / (1 - p): 2 is 50 %, 10 is 90 %, 100 is 99 %.
        axes.plot([100 / (100 - p) for p, _ in points], [ms for _, ms in points], label=name, color=colour, lw=2)
    most = max(len(values) for values in latencies_ms.values())
    ticks = [percent for percent in _TAIL if 100 / (100 - percent) <= max(most, 2) * 1.001]
    axes.set_xscale("log")
    axes.set_xticks([100 / (100 - percent) for percent in ticks], [f"{percent:g} %" for percent in ticks])
    axes.minorticks_off()
    axes.set_xlim(1, max(most, 2))
    _scale_y(axes, [ms for points in curves.values() for _, ms in points])
    axes.set_xlabel("percentile")
    axes.set_ylabel("milliseconds")
    if asked_ms is not None:
        axes.axhline(asked_ms, color=theme.ink, lw=1, ls=(0, (4, 3)), label=f"asked: {asked_ms:g} ms")
    return _png(axes)


def curve(values: Sequence[float], points: int = _POINTS) -> list[tuple[float, float]]:
    """(percentile, value), with as many of them in each further nine; never a percentile that the values do not carry.

    Value n of N, in ascending order and counted from 0, is the n/N percentile. Raises ValueError without values.
    """
    if not values:
        raise ValueError("there is nothing to draw")
    ascending, count = sorted(values), len(values)
    left = sorted({round(count ** (step / points)) for step in range(points + 1)}, reverse=True)
    return [(100 * (count - each) / count, ascending[count - each]) for each in left]


def bars(
    values: Mapping[str, float],
    title: str,
    *,
    unit: str = "",
    form: str = "{:,.0f}",
    accent: str | None = None,
    theme: Theme = LIGHT,
) -> bytes:
    """A horizontal bar for each name, first on top, its value beside it. With `accent` only that one has a colour."""
    axes = _axes(theme, title, height=0.9 + 0.42 * len(values))
    colours = [theme.series[0] if accent in {None, name} else theme.faint for name in values]
    drawn = axes.barh(range(len(values)), list(values.values()), color=colours, height=0.62)
    said = [f"{form.format(value)} {unit}".rstrip() for value in values.values()]
    axes.bar_label(drawn, said, padding=5, color=theme.ink, fontsize=10)
    _as_names(axes, list(values))
    return _png(axes, legend=False)


def stacked(
    parts: Mapping[str, Mapping[str, float]], title: str, *, unit: str = "", form: str = "{:,.0f}", theme: Theme = LIGHT
) -> bytes:
    """A horizontal bar for each name, first on top, made of parts that all have; the sum of them beside it."""
    axes = _axes(theme, title, height=1.1 + 0.42 * len(parts))
    kinds = list(next(iter(parts.values())))
    begins = [0.0] * len(parts)
    for kind, colour in zip(kinds, _colours(theme, len(kinds)), strict=True):
        widths = [each[kind] for each in parts.values()]
        drawn = axes.barh(range(len(parts)), widths, left=begins, color=colour, height=0.62, label=kind)
        begins = [begin + width for begin, width in zip(begins, widths, strict=True)]
    said = [f"{form.format(total)} {unit}".rstrip() for total in begins]
    axes.bar_label(drawn, said, padding=5, color=theme.ink, fontsize=10)
    _as_names(axes, list(parts))
    return _png(axes)


def _as_names(axes: "Axes", names: Sequence[str]) -> None:
    """Of bars, first on top: what they are called, and nothing else around them."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.margins(x=0.16)
    axes.set_xlim(left=0)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    *,
    y: str,
    x: str = "seconds",
    moments: Sequence[Moment] = (),
    theme: Theme = LIGHT,
) -> bytes:
    """A line for each name through its (x, y), from 0 up. `moments` are dotted lines and shaded spans behind them.

    Moments of one name share one entry of the legend.
    """
    axes = _axes(theme, title)
    for (name, points), colour in zip(series.items(), _colours(theme, len(series)), strict=True):
        axes.plot([at for at, _ in points], [value for _, value in points], label=name, color=colour, lw=2)
    kinds = list(dict.fromkeys(each.name for each in moments))
    for moment in moments:
        # A label that begins with an underscore has no entry.
        is_first = next(each for each in moments if each.name == moment.name) is moment
        label = moment.name if is_first else f"_{moment.name}"
        colour = theme.series[-1 - kinds.index(moment.name) % len(theme.series)]
        if moment.until is None:
            axes.axvline(moment.at, color=colour, lw=1, ls=":", label=label, zorder=1)
        else:
            axes.axvspan(moment.at, moment.until, color=colour, alpha=0.14, lw=0, label=label, zorder=0)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.6g}")
    axes.margins(x=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return _png(axes)


def inline(png: bytes) -> str:
    """As the address of an image, for a page that has to stand alone."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _axes(theme: Theme, title: str, height: float = INCHES[1]) -> "Axes":
    # Half a second, which only a picture is worth.
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    margins = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
    figure = Figure(figsize=(INCHES[0], height), dpi=_DPI, layout=margins, facecolor=theme.paper)
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=theme.ink, pad=12)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.faint)
    axes.grid(axis="y", color=theme.faint, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=theme.ink, labelsize=10, length=0)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    return axes


def _colours(theme: Theme, count: int) -> list[str]:
    return [theme.series[number % len(theme.series)] for number in range(count)]


def _scale_y(axes: "Axes", values: Sequence[float]) -> None:
    """From 0, or logarithmic when a curve of the small values would lie on the axis."""
    least, most = min(values, default=0), max(values, default=0)
    if least <= 0 or most / least < _LOG_FROM:
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    axes.set_ylim(10 ** math.floor(math.log10(least)), most * 1.5)
    axes.yaxis.set_major_formatter("{x:,.6g}")


def _png(axes: "Axes", *, legend: bool = True) -> bytes:
    if legend:
        paper, ink = axes.get_facecolor(), axes.xaxis.label.get_color()
        axes.legend(facecolor=paper, edgecolor="none", framealpha=0.85, fontsize=10, labelcolor=ink)
    figure, file = axes.get_figure(root=True), io.BytesIO()
    assert figure is not None
    figure.savefig(file, format="png")
    return file.getvalue()

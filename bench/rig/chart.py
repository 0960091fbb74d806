"""Figures over time as bars of text."""

from collections.abc import Sequence

import msgspec
from rich.table import Table

_ROWS = 24
_WIDTH = 16
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Sample(msgspec.Struct):
    at_s: float
    """Since the merchants came up."""
    in_flight: int
    """The most since the sample before."""
    waiting: int
    """Deliveries that have not been answered yet."""
    rss_mb: float


def bar(value: float, most: float) -> str:
    """As long as the value is of the most."""
    eighths = round(8 * _WIDTH * value / most) if most else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def thinned(samples: Sequence[Sample], rows: int = _ROWS) -> list[Sample]:
    """As many as there is room for: of each stretch of time its end, and the most there was in it."""
    rows = min(rows, len(samples))
    stretches = [samples[row * len(samples) // rows : (row + 1) * len(samples) // rows] for row in range(rows)]
    return [
        Sample(
            round(stretch[-1].at_s, 2),
            max(each.in_flight for each in stretch),
            stretch[-1].waiting,
            round(max(each.rss_mb for each in stretch), 1),
        )
        for stretch in stretches
    ]


def over_time(samples: Sequence[Sample]) -> Table:
    rows = thinned(samples)
    in_flight, waiting = max(each.in_flight for each in rows), max(each.waiting for each in rows)
    table = Table("s", "in flight", "", "waiting", "", "RSS MB", title="Over time; the merchants come up at 0 s")
    for each in rows:
        table.add_row(
            f"{each.at_s:.1f}",
            *(str(each.in_flight), bar(each.in_flight, in_flight)),
            *(str(each.waiting), bar(each.waiting, waiting)),
            f"{each.rss_mb:.0f}",
        )
    return table


def slow_start(at_once_after: Sequence[int]) -> Table:
    """`at_once_after[n]`: the most that any merchant had at a time when it had given n answers."""
    table = Table("answers so far", "requests at a time", "", title="A merchant that comes back")
    most = max(at_once_after)
    for answers, at_once in enumerate(at_once_after):
        more = " and more" if answers == len(at_once_after) - 1 else ""
        table.add_row(f"{answers}{more}", str(at_once), bar(at_once, most))
    return table

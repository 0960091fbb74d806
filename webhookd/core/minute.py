"""What a minute was like: what the dashboard's charts are drawn of."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

KEPT = 1_440
"""Minutes: a day."""


class Minute(msgspec.Struct, frozen=True):
    number: int
    """Since 1970."""
    accepted: int = 0
    """Events that were new."""
    duplicates: int = 0
    refused: int = 0
    """Hooks that were not taken."""
    delivered: int = 0
    failed: int = 0
    """Attempts."""
    died: int = 0
    """Deliveries that were given up."""
    backlog: int = 0
    """Deliveries pending, at its end."""
    ack_p50_ms: float | None = None
    """From hook to 200, as are the other of `ack`; None when there was none."""
    ack_p99_ms: float | None = None
    delivery_p50_ms: float | None = None
    """From hook to delivered."""
    delivery_p99_ms: float | None = None


def folded(minutes: Sequence[Minute], size: int) -> Sequence[Minute]:
    """The same with one for each `size` of them, those that end at a multiple of it; the first and last may be of less.

    Counts are summed, and the backlog is that at the end. Of several percentiles, p50 is the middle one and p99 the
    highest: what they are together cannot be known of them.
    """
    if size == 1:
        return minutes
    groups: dict[int, list[Minute]] = {}
    for minute in minutes:
        groups.setdefault(minute.number // size, []).append(minute)
    return [together(number * size, each) for number, each in groups.items()]


def together(number: int, minutes: Sequence[Minute]) -> Minute:
    """One, called this, for all of them."""
    return Minute(
        number,
        accepted=sum(each.accepted for each in minutes),
        duplicates=sum(each.duplicates for each in minutes),
        refused=sum(each.refused for each in minutes),
        delivered=sum(each.delivered for each in minutes),
        failed=sum(each.failed for each in minutes),
        died=sum(each.died for each in minutes),
        backlog=minutes[-1].backlog,
        ack_p50_ms=_middle(each.ack_p50_ms for each in minutes),
        ack_p99_ms=max((each.ack_p99_ms for each in minutes if each.ack_p99_ms is not None), default=None),
        delivery_p50_ms=_middle(each.delivery_p50_ms for each in minutes),
        delivery_p99_ms=max(
            (each.delivery_p99_ms for each in minutes if each.delivery_p99_ms is not None), default=None
        ),
    )


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None

"""Durations, sizes and times as people write them: "500ms", "2h", "1MiB"."""

import re
from datetime import UTC, datetime, timedelta
from typing import overload

_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_NUMBER_AND_UNIT = re.compile(r"(\d{1,12})([A-Za-z]+)", re.ASCII)
_EPOCH = datetime.fromtimestamp(0, UTC)
MILLISECONDS_MAX = 366 * 86_400_000


def duration_ms(text: str) -> int:
    """Milliseconds of "500ms", "5s", "10m", "2h" or "3d"; at most a year. Raises ValueError."""
    amount = _amount(text, _DURATION_MS, 'a duration is a whole number and a unit: "500ms", "5s", "10m", "2h", "3d"')
    if amount > MILLISECONDS_MAX:
        raise ValueError(f'"{text}" is longer than a year')
    return amount


def size_bytes(text: str) -> int:
    """Bytes of "512B", "64KiB", "1MiB" or "2GB". Raises ValueError."""
    return _amount(text, _SIZE_BYTES, 'a size is a whole number and a unit: "64KiB", "1MiB", "2GB"')


@overload
def time_text(at_ms: int) -> str: ...
@overload
def time_text(at_ms: int | None) -> str | None: ...
def time_text(at_ms: int | None) -> str | None:
    """Unix milliseconds in RFC 3339, UTC with milliseconds; None for None."""
    if at_ms is None:
        return None
    at = _EPOCH + timedelta(milliseconds=at_ms)  # a float of seconds is too coarse for the last of them
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration_text(ms: float) -> str:
    """A duration for people: the two largest units, "2h 5m", "850ms"."""
    if ms < 1_000:
        return f"{ms:.0f}ms"
    rest, words = int(ms) // 1_000, []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words[:2])


def duration_exactly(ms: int) -> str:
    """As `duration_ms` reads it, in the largest unit that leaves nothing over: "90s", "2h"."""
    count, unit = next((ms // each, unit) for unit, each in reversed(_DURATION_MS.items()) if ms % each == 0)
    return f"{count}{unit}" if ms else "0s"


def size_exactly(size: int) -> str:
    """As `size_bytes` reads it, in the largest binary unit that leaves nothing over: "64KiB", "1000B"."""
    units = [("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1)]
    return next(f"{size // each}{unit}" for unit, each in units if size % each == 0) if size else "0B"


def _amount(text: str, units: dict[str, int], rule: str) -> int:
    found = _NUMBER_AND_UNIT.fullmatch(text.strip())
    if found is None or found[2] not in units:
        raise ValueError(f'"{text[:40]}" is not understood: {rule}')
    return int(found[1]) * units[found[2]]

"""Costs made of what was measured of them together."""

from collections.abc import Sequence


def fitted(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Least squares of shares; what would be below zero is left out, and the others are fitted again."""
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    weights = 1 / np.array(values)
    table = np.array(rows) * weights[:, None]
    used = list(range(table.shape[1]))
    while used:
        found, *_ = np.linalg.lstsq(table[:, used], np.ones(len(values)), rcond=None)
        if (found >= 0).all():
            return [float(found[used.index(n)]) if n in used else 0.0 for n in range(table.shape[1])]
        used.pop(int(found.argmin()))
    return [0.0] * table.shape[1]

"""What endpoints ask for beside: one for the payments in order, one for so many requests a second."""

from collections.abc import Mapping

ORDERED, LIMITED = "inventory", "fulfillment"
RATE = 1.5
"""Of the hooks that come: it must catch up with what it has missed."""


def rate_limit(rate: float) -> int:
    return max(1, round(RATE * rate))


def wishes(rate: float) -> Mapping[str, Mapping[str, object]]:
    """At so many new hooks a second."""
    return {ORDERED: {"ordering": "payment"}, LIMITED: {"rate_limit": f"{rate_limit(rate)}/s"}}

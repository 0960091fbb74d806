"""A hook that was not taken: what is remembered of it, and what several of them say together."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

UNKNOWN_SOURCE = "unknown_source"
STALE_TIMESTAMP = "stale_timestamp"
WRONG_SIGNATURE = "wrong_signature"
CLOCK_HOOKS_MIN = 3
CLOCK_SPREAD_MS = 60_000
"""Hooks that are late because they waited are late by different times; by a clock, all by the same, give or take."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The sender's texts are short and printable, and may say anything. No signature is here, and nothing of a body."""

    number: int
    """Ascending since the start."""
    at: int
    """Unix milliseconds."""
    source: str | None
    """None: there is none of the name that was asked for."""
    path: str
    reason: str
    """The word of `webhookd_hooks_total`."""
    status: int
    """Of the answer."""
    address: str
    """Whose connection it was: the proxy's, where there is one."""
    method: str
    size: int | None
    """Bytes of the body; as its sender says, where it was not read; None where nobody said."""
    content_type: str | None
    user_agent: str | None
    signature: Sequence[tuple[str, str]]
    """Headers, each with what it looks like."""
    signed_at: int | None
    """As it says itself, Unix milliseconds."""
    sha256: bytes | None
    """Of the body, where it was read."""


def clock_off_ms(refusals: Iterable[Refusal]) -> int | None:
    """By how much hooks are too old (or, below 0, too new) as if a clock were wrong; None where it looks otherwise.

    It takes CLOCK_HOOKS_MIN whose signature is right, signed at different times, and all off by the same.
    """
    found = {each.signed_at: each.at - each.signed_at for each in refusals if _is_stale(each) and each.signed_at}
    ages = found.values()
    if len(ages) < CLOCK_HOOKS_MIN or max(ages) - min(ages) > CLOCK_SPREAD_MS:
        return None
    return round(median(ages))


def _is_stale(refusal: Refusal) -> bool:
    return refusal.reason == STALE_TIMESTAMP

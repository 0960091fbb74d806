"""Who keeps trying wrong tokens: slowed by address, and strangers all together. A right token is never held up."""

import math
from typing import NamedTuple

import msgspec

from webhookd.core.by_address import ByAddress
from webhookd.core.rate_limit import RateLimit, RateWindow

OF_ONE_ADDRESS = RateLimit(5, 60_000)
OF_ALL_STRANGERS = RateLimit(100, 3_600_000)
DELAY_S, DELAY_S_MAX = 60.0, 900.0
"""How long the first refusal holds, and the longest: each doubles the one before."""
FORGIVEN_S = 3_600.0
"""After so long without one, the next refusal is a first one again, and is told again."""


class Slowed(NamedTuple):
    wait_s: int
    is_news: bool
    """Whether an operator should hear of it: once for each address in FORGIVEN_S, and once for all strangers."""


class _Guesser(msgspec.Struct):
    """What is known of an address."""

    wrong: RateWindow
    is_stranger: bool = True
    refusals: int = 0
    until: float = float("-inf")
    """Before then every wrong token is refused."""


class Guessing:
    """Seconds are those of a clock that never steps back. A restart forgets it all."""

    def __init__(self) -> None:
        self._addresses = ByAddress(lambda: _Guesser(RateWindow(OF_ONE_ADDRESS)))
        self._strangers = RateWindow(OF_ALL_STRANGERS)
        self._told_at = float("-inf")

    def right(self, address: str) -> None:
        """A right token came from there: whoever is there is no stranger."""
        self._addresses.of(address).is_stranger = False

    def wrong(self, address: str, now: float) -> Slowed | None:
        """A wrong token came from there. None: say so; otherwise say that it is one too many, and until when."""
        guesser = self._addresses.of(address)
        if now < guesser.until or guesser.wrong.opens_at() > now * 1_000:
            return self._refuse(guesser, now)
        if guesser.is_stranger:
            if (opens_at := self._strangers.opens_at() / 1_000) > now:
                is_news = now - self._told_at >= FORGIVEN_S
                self._told_at = now if is_news else self._told_at
                return Slowed(math.ceil(opens_at - now), is_news)
            self._strangers.start(now * 1_000)
        guesser.wrong.start(now * 1_000)
        return None

    @staticmethod
    def _refuse(guesser: _Guesser, now: float) -> Slowed:
        if now - guesser.until > FORGIVEN_S:
            guesser.refusals = 0
        delay_s = min(DELAY_S * 2.0 ** min(guesser.refusals, 10), DELAY_S_MAX)
        guesser.refusals += 1
        guesser.until = now + delay_s
        return Slowed(math.ceil(delay_s), guesser.refusals == 1)

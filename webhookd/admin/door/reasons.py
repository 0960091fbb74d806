"""The reasons there may be for a problem instead of an answer. Whoever raises one need not know how it is answered."""

from collections.abc import Mapping, Sequence

import msgspec

MISTAKES_MAX = 100


class RefusedError(Exception):
    """Answered with this status and these headers, before anything else is looked at."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] = {}) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers


class NotFoundError(Exception):
    """404."""


class ConflictError(Exception):
    """409; the message says with what."""


class Mistake(msgspec.Struct, frozen=True):
    field: str
    reason: str


class MistakesError(Exception):
    """422, with every field that is wrong; at most MISTAKES_MAX, so that the answer is no larger than it is worth."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        mistakes = mistakes[:MISTAKES_MAX]
        super().__init__("; ".join(f"{each.field}: {each.reason}" for each in mistakes))
        self.mistakes = mistakes


class BusyError(Exception):
    """503 with `Retry-After`; the message says what is too much."""

"""The seam to the store where history ends: what may be taken out of the log, and what is left of it."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

Stays = Literal["undelivered", "recent", "replayed", "bodiless"]
"""Why an event is not taken: something of it is pending, or was finished too recently; a replay that is under way may
come to it; or, where only bodies are taken, it has none."""


class Limits(msgspec.Struct, frozen=True):
    """How long what is finished is kept, in milliseconds."""

    events_ms: int
    bodies_ms: int
    dedupe_ms: int
    audit_ms: int


class Extent(msgspec.Struct, frozen=True):
    """Which events are meant."""

    below: int
    """A key: those before it."""
    finished_before_ms: int
    """Unix milliseconds: those of which nothing is pending, and nothing was settled since."""
    above: int = 0
    """A key: those after it."""
    provider: str | None = None
    bodies_only: bool = False
    """Whether the event stays, and only its bytes go."""
    may_wait: bool = False
    """Whether what may go may stay until all may go that came within the same week: some stores take that at once."""


class Found(msgspec.Struct, frozen=True):
    """An event, and what would go with it."""

    key: int
    provider: str
    size: int
    """Bytes of its body, if that is there."""
    stays: Stays | None
    """None of one that may go."""
    deliveries: int
    attempts: int


class Whole(msgspec.Struct, frozen=True):
    """A stretch of the log of which all may be meant, with its first and its last key."""

    first: int
    last: int


class Look(msgspec.Struct, frozen=True):
    found: Sequence[Found]
    """In order; without those of other providers."""
    then: int
    """All up to this key have been looked at."""
    over: bool
    whole: Whole | None = None
    """What may go at once, without having been looked at: then nothing was found. One that ends behind `then` is only
    to be gone on with, and none of its events is in the log."""


class Tally(msgspec.Struct):
    """How much went."""

    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    bytes: int = 0
    """Of bodies."""

    def add(self, other: "Tally") -> None:
        self.events += other.events
        self.deliveries += other.deliveries
        self.attempts += other.attempts
        self.bytes += other.bytes


class Taken(msgspec.Struct, frozen=True):
    tallies: Mapping[str, Tally]
    """By provider."""
    writer_s: float
    """Seconds that nobody else could write, without those of the commit."""


class Step(msgspec.Struct, frozen=True):
    """What a step has made of a stretch that was to go as a whole."""

    state: Literal["under way", "gone", "stays", "not now"]
    """Of one that `stays` something must; the rest can be taken event by event. `not now`: another time."""
    tallies: Mapping[str, Tally] = {}
    """By provider, of all of it, once it is gone."""
    freed_bytes: int = 0
    """What the database has become shorter by."""


class Freed(msgspec.Struct, frozen=True):
    pages: int
    """Taken off the end of the file."""
    left: int
    """That could be, too."""
    page_bytes: int
    writer_s: float


class PastEvent(msgspec.Struct, frozen=True):
    """What was taken out."""

    key: int
    salt: int
    received_at: int
    taken_at: int


class Retention(Protocol):
    """For `admin`. A method is one short read or one transaction; each may be asked for again after a crash."""

    @property
    def step_s(self) -> float:
        """How long one step should keep others from writing, its commit not counted."""
        ...

    @property
    def queued(self) -> int:
        """Writes that wait for a commit."""
        ...

    async def look(self, extent: Extent, after: int, *, counted: bool, whole: bool = False) -> Look:
        """The next stretch of the extent. Unless it is `counted`, deliveries and attempts are 0.

        With `whole` it may say that all of a stretch may go at once.
        """
        ...

    async def take(self, extent: Extent, keys: Sequence[int], now_ms: int) -> Taken:
        """Take those of these events that may still go, or only their bodies.

        A crash leaves all of them or none. What they said of money stays, and so does what a repeat is known by.
        """
        ...

    async def take_whole(self, extent: Extent, whole: Whole, now_ms: int) -> Step:
        """The next step of taking a stretch that a look has found, until one is not under way. It is as after `take`.

        A crash between two leaves nothing half taken: a later look finds the stretch, to be gone on with.
        """
        ...

    async def forget(self, below: int, limit: int) -> Taken:
        """Forget past events that said nothing of money: a repeat would be a new event. At most so many, lowest first.

        The tallies are empty when there is none left below that key.
        """
        ...

    async def forget_trail(self, before_ms: int, limit: int) -> int:
        """Rows of the audit trail from before that time, at most so many, and tokens that were no good by then."""
        ...

    async def give_back(self, pages: int, kept: float) -> Freed:
        """Shorten the file by at most so many free pages; `kept` is the share of the file that stays free for reuse."""
        ...

    async def past(self, key: int, salt: int | None = None) -> PastEvent | None:
        """An event that was taken out, for as long as it is remembered."""
        ...

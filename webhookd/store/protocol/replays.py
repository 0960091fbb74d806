"""The seam to the store where replays are kept: which deliveries a person asked for, and how far each replay is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from webhookd.core.delivery import DELIVERY_STATES, DeliveryState
from webhookd.store.protocol.errors import RefusalError

RUNNING_MAX = 8
"""Replays under way at once."""

SelectedState = DeliveryState | Literal["unrouted"]
SELECTED_STATES: tuple[SelectedState, ...] = (*DELIVERY_STATES, "unrouted")
ReplayState = Literal["running", "done", "cancelled"]


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which deliveries a person wants. By id, or by all that the others say; None means any.

    By id: a delivery is itself. An event is its delivery to `endpoint`, whether it was ever owed to it or not; without
    one, all its deliveries; and where it has none, one to each endpoint that asks for it as the routing table stands.

    Otherwise: with a `state`, the deliveries that are in it; `unrouted` are the events that went nowhere, for all who
    ask for them now. Without a state, the events that `endpoint` asks for now, owed to it before or not; without an
    endpoint either, all deliveries.
    """

    ids: tuple[str, ...] = ()
    endpoint: str | None = None
    source: str | None = None
    type: str | None = None
    """A glob."""
    state: SelectedState | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    error: str | None = None
    """Of dead deliveries only: what their last attempt found, …"""
    status: int | None = None
    """… and what it was answered."""

    @property
    def by_reason(self) -> bool:
        """Whether it means what was given up for one reason."""
        return self.state == "dead" and (self.error is not None or self.status is not None)


class Replay(msgspec.Struct, frozen=True):
    number: int
    selection: Selection
    per_s: float | None
    """Deliveries made due in a second; None: as fast as they are found."""
    state: ReplayState
    total: int
    """Deliveries that were found when it was asked for, …"""
    total_is_exact: bool
    """… or only so many before the time for counting was over."""
    replayed: int
    """Deliveries made due so far."""
    created_at: int
    ended_at: int | None


class Found(msgspec.Struct, frozen=True):
    deliveries: int
    is_exact: bool
    """Whether these are all."""
    by_endpoint: Mapping[str, int] = {}
    """So many are to each."""


class Step(msgspec.Struct, frozen=True):
    """What one step of a replay did."""

    replayed: int
    endpoints: Collection[int]
    """Their numbers: something is due to them that no commit announced."""
    over: bool


class SelectionError(Exception):
    """What was selected cannot be replayed. `field` is what names it, as "ids[2]"."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field, self.reason = field, reason


class TooManyReplaysError(RefusalError):
    """RUNNING_MAX are under way."""


class Replays(Protocol):
    """For `admin`."""

    async def count(self, selection: Selection) -> Found:
        """How many deliveries a replay would make due now; stops counting after a second. Changes nothing.

        Raises SelectionError.
        """
        ...

    async def has_source(self, name: str) -> bool:
        """Whether any event in the log is of it."""
        ...

    async def begin(self, selection: Selection, per_s: float | None, now_ms: int) -> Replay:
        """Put a replay on record; `step` carries it out. A crash leaves it or not.

        Events that come later are not meant. Raises SelectionError, TooManyReplaysError.
        """
        ...

    async def step(self, number: int, limit: int, now_ms: int) -> Step:
        """Make at most `limit` more deliveries of a replay due, in the order of the log.

        What was done and how far the replay is are one transaction: a crash leaves both or neither, and no delivery
        is made due twice by one replay. A step may find nothing, and the replay not be over: the log is looked through
        a stretch at a time.
        """
        ...

    async def running(self) -> Sequence[Replay]: ...

    async def list(self, below: int | None, limit: int) -> Sequence[Replay]:
        """Newest first; from a number on that is not among them, or from the newest."""
        ...

    async def get(self, number: int) -> Replay | None: ...

    async def cancel(self, number: int, now_ms: int) -> None:
        """Make no more deliveries due, if it is not over. What was made due stays so."""
        ...

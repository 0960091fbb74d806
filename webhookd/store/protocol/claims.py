"""The seam to the store where several nodes share the outbox: who delivers to which endpoint, and how long he may."""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.delivery import DeliveryKey
from webhookd.core.endpoint import EndpointState, Why

LEASE_S = 6.0
"""A node that has not been heard of for so long is taken for dead: what it claimed is others' to take."""


class Node(msgspec.Struct, frozen=True):
    """One process of several on the same log."""

    number: int
    name: str
    version: str
    role: str
    started_at: int
    seen_at: int
    """When it last said that it lives; by the clock of the store, as all of these are."""
    is_alive: bool
    claims: int
    """Endpoints it delivers to."""


class Claim(msgspec.Struct, frozen=True):
    """What a node holds of an endpoint, and how the endpoint stood when it was taken."""

    endpoint: int
    fence: int
    """Greater than that of every claim before it: what is settled under one of those is not recorded any more."""
    state: EndpointState
    why: Why | None
    health: Health


class Renewed(msgspec.Struct, frozen=True):
    gained: Sequence[Claim]
    lost: Collection[int]
    """Endpoints: this node was taken for dead, or has released them."""
    surplus: int
    """How many more it holds than its share, while others have less than theirs."""


class Calls(Protocol):
    """What nodes tell each other; a call may be missed. `due` is told of endpoints, of None when it may be any."""

    def tell(self, endpoints: Collection[int] | None) -> None:
        """Something has become due for these. Returns at once."""
        ...

    def tell_of_endpoints(self) -> None:
        """Endpoints were changed. Returns at once."""
        ...

    def tell_withdrawn(self, key: DeliveryKey) -> None:
        """A delivery was cancelled: whoever has it in hand starts no attempt of it. Returns at once."""
        ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Listener(Protocol):
    """What is told of others' calls. All of it is told without a reason whenever calls may have been missed."""

    def due(self, endpoints: Collection[int] | None) -> None: ...

    def endpoints(self) -> None: ...

    def withdrawn(self, key: DeliveryKey) -> None: ...


class Claims(Protocol):
    """For `dispatch`. A crash leaves the claims until the lease has run out."""

    @property
    def slot(self) -> int | None:
        """What this node's mint of keys has to itself, once it has joined: it may be another one later."""
        ...

    @property
    def leads(self) -> bool:
        """Whether this node came before all others that live: what one of them has to do is its.

        As of the last renewal: there may be two for a moment, and none for as long as a lease.
        """
        ...

    async def renew(self, released: Collection[int], known: Collection[int]) -> Renewed:
        """Say that this node lives for LEASE_S from before the call, and take what nobody holds, up to its share.

        None but `known` endpoints are taken: another one may be in the configuration of a node that is newer.
        `released` are claims that it gives back: no attempt is under way under them. Raises StoreUnavailableError;
        then nothing is known, and the lease runs out where it would have.
        """
        ...

    async def leave(self) -> None:
        """Give back all: no attempt is under way. Others may take it at once."""
        ...

    async def overdue(self, endpoints: Collection[int], before_ms: int) -> Collection[int]:
        """Those of these for which something was due by then: what was called may have been missed."""
        ...

    async def nodes(self) -> Sequence[Node]:
        """All that are there, and those that have not been heard of since a short time, by number."""
        ...

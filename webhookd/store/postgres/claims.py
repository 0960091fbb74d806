"""Claims on endpoints: leases that nodes renew, and fences that grow whenever an endpoint changes hands."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from webhookd.core.breaker import Health
from webhookd.core.identifier import SLOTS
from webhookd.store.postgres.connection import Session, Speaking
from webhookd.store.postgres.former import Former, former, remember
from webhookd.store.postgres.transaction import alone
from webhookd.store.protocol.claims import LEASE_S, Claim, Node, Renewed
from webhookd.store.protocol.errors import StoreUnavailableError

LEASE_MS = round(LEASE_S * 1_000)
FORGET_MS = 600_000
"""A node that has not been heard of for so long is no longer listed."""


class PostgresClaims:
    """Fits `protocol.claims.Claims`. `session` is its own: a long commit delays no renewal.

    `file` is in a directory that this process has locked: the node that it tells of has died.
    """

    def __init__(self, session: Session, file: Path | None, *, name: str, version: str, role: str) -> None:
        self._session = session
        self._file = file
        self._names = {"name": name, "version": version, "role": role, "lease_ms": LEASE_MS}
        self._dispatches = role != "receive"
        self.number: int | None = None
        """Of this node, once it has joined."""
        self.slot: int | None = None
        """What its mint of keys has to itself."""
        self.leads = False
        self._held: set[int] = set()
        self._is_unsure = False
        """Whether something may have been taken or released that was not heard of."""

    async def renew(self, released: Collection[int], known: Collection[int]) -> Renewed:
        held = self._held.copy()
        try:
            return await self._session.run(lambda connection: self._renew(connection, released, known))
        except BaseException:
            self._held, self._is_unsure = held, True
            raise

    async def leave(self) -> None:
        if self.number is not None:
            node, self.number = self.number, None
            self._held.clear()
            await self._session.run(lambda connection: connection.execute("claims.leave", {"node": node}).rowcount)

    async def overdue(self, endpoints: Collection[int], before_ms: int) -> Collection[int]:
        given = {"endpoints": [*endpoints], "before": before_ms}
        return [endpoint for (endpoint,) in await self._session.read("claims.overdue", given)]

    async def nodes(self) -> Sequence[Node]:
        return [Node(*row) for row in await self._session.read("claims.nodes")]

    def _renew(self, connection: Speaking, released: Collection[int], known: Collection[int]) -> Renewed:
        lost = self._live(connection)
        if released and self.number is not None:
            connection.execute("claims.release", {"node": self.number, "endpoints": [*released]})
            self._held.difference_update(released)
            lost.update(released)
        if not self._dispatches:
            return Renewed((), lost, 0)
        nodes, endpoints, free = connection.execute("claims.standing", {"known": [*known]}).fetchone()
        share = -(-endpoints // max(1, nodes))
        gained = self._take(connection, share - len(self._held), known) if free and share > len(self._held) else []
        return Renewed(gained, lost, max(0, len(self._held) - share) if nodes > 1 else 0)

    def _live(self, connection: Speaking) -> set[int]:
        """Which claims were lost since this node last said that it lives."""
        row = None
        if self.number is not None:
            row = connection.execute("claims.live", {"node": self.number, "lease_ms": LEASE_MS}).fetchone()
        if row is None:
            self._join(connection)
            lost, self._held = self._held, set()
            return lost
        was_dead, self.leads = row
        if not was_dead and not self._is_unsure:
            return set()
        held = {endpoint for endpoint, _fence in connection.execute("claims.held", {"node": self.number})}
        if unheard_of := held - self._held:
            connection.execute("claims.release", {"node": self.number, "endpoints": [*unheard_of]})
        lost, self._held = self._held - held, self._held & held
        self._is_unsure = False
        return lost

    def _join(self, connection: Speaking) -> None:
        its_former = former(self._file) if self._file is not None else None

        def join(connection: Speaking) -> Any:
            if its_former is not None:
                connection.execute("claims.succeed", {**its_former._asdict(), "name": self._names["name"]})
            connection.execute("claims.forget", {"forget_ms": FORGET_MS})
            return connection.execute("claims.join", self._names).fetchone()

        row = alone(connection, join)
        if row is None:
            raise StoreUnavailableError(f"{SLOTS} nodes share the log already")
        self.number, self.slot, started_at = row
        if self._file is not None:
            remember(self._file, Former(self.number, started_at))

    def _take(self, connection: Speaking, limit: int, known: Collection[int]) -> list[Claim]:
        """While nobody else writes: what was attempted under another claim is recorded by now, or never will be."""
        given = {"node": self.number, "limit": limit, "known": [*known]}
        rows = alone(connection, lambda connection: connection.execute("claims.take", given).fetchall())
        self._held.update(endpoint for endpoint, *_ in rows)
        return [Claim(endpoint, fence, state, why, Health(*health)) for endpoint, fence, state, why, *health in rows]

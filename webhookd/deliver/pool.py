"""The connections that are open: which of them are idle, and for whom."""

import asyncio

from webhookd.deliver.connection import Connection
from webhookd.deliver.route import Origin

IDLE_MAX = 512
IDLE_PER_ORIGIN_MAX = 64
SWEEP_S = 1.0


class Pool:
    """The connection used last is used first, so that the others grow old and end. At the bounds the oldest ends."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        """In the order of becoming idle."""
        self._idle_for: dict[Origin, dict[Connection, None]] = {}
        """The same, by origin."""
        self._closed = False
        self._sweep: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    def add(self, connection: Connection) -> None:
        """One that was dialled. It is closed if the pool is."""
        if self._closed:
            connection.abort()
        elif not connection.over:
            self._open.add(connection)

    def ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._rouse(connection)
        if self._empty is not None and not self._open and not self._empty.done():
            self._empty.set_result(None)

    def take(self, origin: Origin) -> Connection | None:
        """An idle one that the peer still holds, as far as that is known."""
        while (idle := self._idle_for.get(origin)) is not None:
            connection = next(reversed(idle))
            self._rouse(connection)
            if connection.still_good():
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection) -> None:
        """After an exchange. It is kept if it can be."""
        if not connection.keep():
            connection.abort()
            return
        rivals = self._idle_for.get(connection.origin, {})
        if len(rivals) >= IDLE_PER_ORIGIN_MAX:
            self._drop(next(iter(rivals)))
        elif len(self._idle) >= IDLE_MAX:
            self._drop(next(iter(self._idle)))
        self._idle[connection] = None
        self._idle_for.setdefault(connection.origin, {})[connection] = None
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._close_old)

    async def close(self) -> None:
        """Returns when the last has ended."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [each for each in self._idle if each.kept_until <= now]:
            self._drop(connection)
        self._sweep = loop.call_later(SWEEP_S, self._close_old) if self._idle else None

    def _drop(self, connection: Connection) -> None:
        self._rouse(connection)
        connection.abort()

    def _rouse(self, connection: Connection) -> None:
        """It is idle no more."""
        del self._idle[connection]
        idle = self._idle_for[connection.origin]
        del idle[connection]
        if not idle:
            del self._idle_for[connection.origin]

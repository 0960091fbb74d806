"""What nodes tell each other, by NOTIFY: what is due, was cancelled or changed. A call may be missed.

It is sent after the commit and beside it: a NOTIFY within it would let only one transaction at a time commit
(PreCommit_Notify in PostgreSQL's async.c), and what it says is in the database in any case. So its own transaction,
which would cost a sync, is not waited for.
"""

import asyncio
import secrets
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec

from webhookd.core.delivery import DeliveryKey
from webhookd.postgres_errors import LOST
from webhookd.store.postgres.connection import CONNECT_S_MAX
from webhookd.store.postgres.database import Connect
from webhookd.store.protocol.claims import Listener

RETRY_S = 1.0
NAMED_MAX = 150
"""So many endpoints and deliveries are named in a call: a payload is shorter than 8,000 bytes."""


class Call(msgspec.Struct, omit_defaults=True):
    by: str
    due: list[int] | None = []
    """Endpoints for which something is due; None: any."""
    withdrawn: list[DeliveryKey] = []
    """Deliveries that were cancelled."""
    endpoints: bool = False
    """Whether endpoints were changed."""


_decode = msgspec.json.Decoder(Call).decode
_encode = msgspec.json.Encoder().encode


class Calls:
    """Fits `protocol.claims.Calls`."""

    def __init__(self, make: Connect, listener: Listener) -> None:
        self._make, self._listener = make, listener
        self._withdrawn: list[DeliveryKey] = []
        self._by = secrets.token_hex(8)
        self._to_tell: set[int] | None = set()
        self._tells_of_endpoints = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="calls")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def tell(self, endpoints: Collection[int] | None) -> None:
        """Something is due for these."""
        self._to_tell = None if endpoints is None or self._to_tell is None else self._to_tell.union(endpoints)
        self._wake.set()

    def tell_of_endpoints(self) -> None:
        self._tells_of_endpoints = True
        self._wake.set()

    def tell_withdrawn(self, key: DeliveryKey) -> None:
        self._withdrawn.append(key)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError, asyncpg.PostgresError, *LOST):
                await self._connected(await self._make())
            await asyncio.sleep(RETRY_S)

    async def _connected(self, connection: asyncpg.Connection) -> None:
        try:
            connection.add_termination_listener(lambda _connection: self._wake.set())
            channel = await connection.fetchval("SELECT 'webhookd ' || current_schema()")
            await connection.add_listener(channel, self._hear)
            self._listener.due(None)
            self._listener.endpoints()
            while not connection.is_closed():
                await self._wake.wait()
                self._wake.clear()
                if (call := self._next()) is not None:
                    await self._say(connection, channel, call)
        finally:
            with suppress(TimeoutError, *LOST):
                await connection.close(timeout=CONNECT_S_MAX)

    async def _say(self, connection: asyncpg.Connection, channel: str, call: Call) -> None:
        try:
            await connection.execute("SELECT pg_notify($1, $2)", channel, _encode(call).decode())
        except BaseException:
            self.tell(call.due)  # on the next connection
            self._tells_of_endpoints |= call.endpoints
            self._withdrawn += call.withdrawn
            raise

    def _next(self) -> Call | None:
        """All that there is to tell by now."""
        due, endpoints = self._to_tell, self._tells_of_endpoints
        self._to_tell, self._tells_of_endpoints = set(), False
        withdrawn, self._withdrawn = self._withdrawn[:NAMED_MAX], self._withdrawn[NAMED_MAX:]
        if self._withdrawn:
            self._wake.set()
        if due == set() and not endpoints and not withdrawn:
            return None
        named = None if due is None or len(due) > NAMED_MAX else sorted(due)
        return Call(self._by, named, withdrawn, endpoints)

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        try:
            call = _decode(payload)
        except msgspec.MsgspecError:  # of a newer version
            call = Call("", None, endpoints=True)
        if call.by == self._by:
            return
        for key in call.withdrawn:
            self._listener.withdrawn(key)
        if call.due != []:
            self._listener.due(call.due)
        if call.endpoints:
            self._listener.endpoints()

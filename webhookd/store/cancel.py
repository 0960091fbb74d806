"""Calls deliveries off, in SQLite."""

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial

from webhookd.core.delivery import TRANSITIONS, DeliveryKey
from webhookd.store.batch import Change
from webhookd.store.cancel_protocol import NoDeliveryError, OverError
from webhookd.store.queries import SQL


class SqliteCancels:
    """Fits `cancel_protocol.Cancels`. `change` runs a function on the writer's thread, in a transaction."""

    def __init__(self, change: Callable[[Change], Awaitable[object]]) -> None:
        self._change = change

    async def cancel(self, key: DeliveryKey, now_ms: int) -> None:
        await self._change(partial(_cancel, key=key, now_ms=now_ms))


def _cancel(connection: sqlite3.Connection, key: DeliveryKey, now_ms: int) -> None:
    found = connection.execute(SQL["delivery_state"], key).fetchone()
    if found is None:
        raise NoDeliveryError
    [state] = found
    if (state, "cancelled") not in TRANSITIONS:
        raise OverError(state)
    connection.execute(SQL["cancel_delivery"], (TRANSITIONS[state, "cancelled"], now_ms, *key))

"""Calls deliveries off."""

from collections.abc import Awaitable, Callable
from functools import partial

from webhookd.core.delivery import TRANSITIONS, DeliveryKey
from webhookd.store.protocol.cancels import NoDeliveryError, OverError
from webhookd.store.sql.connection import Change, Connection


class SqlCancels:
    """Fits `protocol.cancels.Cancels`. `change` runs a function in the transaction of a commit."""

    def __init__(self, change: Callable[[Change], Awaitable[object]]) -> None:
        self._change = change

    async def cancel(self, key: DeliveryKey, now_ms: int) -> None:
        await self._change(partial(_cancel, key=key, now_ms=now_ms))


def _cancel(connection: Connection, key: DeliveryKey, now_ms: int) -> None:
    found = connection.execute("log.delivery_state", key).fetchone()
    if found is None:
        raise NoDeliveryError
    [state] = found
    if (state, "cancelled") not in TRANSITIONS:
        raise OverError(state)
    connection.execute("log.cancel_delivery", (TRANSITIONS[state, "cancelled"], now_ms, *key))

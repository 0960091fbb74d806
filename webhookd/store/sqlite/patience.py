"""How long a read may take, and how long it may wait for those before it: one connection reads for the whole API."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from webhookd.store.protocol.errors import StoreUnavailableError

T = TypeVar("T")
READ_SECONDS_MAX = 2.0
WAIT_SECONDS_MAX = 10.0
_PROGRESS_INSTRUCTIONS = 10_000
Read = Callable[[sqlite3.Connection], T]


async def in_turn(run: Callable[[Read[T | None]], Awaitable[T | None]], function: Read[T]) -> T:
    """Have it run in its turn; it is interrupted after READ_SECONDS_MAX.

    It is not begun for somebody who has left, so that the queue is no longer than there are requests; nor after
    WAIT_SECONDS_MAX: then StoreUnavailableError is raised.
    """
    asked_at, has_left = time.monotonic(), False

    def begin(connection: sqlite3.Connection) -> T | None:
        began = time.monotonic()
        if has_left:
            return None
        if began - asked_at > WAIT_SECONDS_MAX:
            raise StoreUnavailableError("too many reads waited before this one")
        deadline = began + READ_SECONDS_MAX
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_INSTRUCTIONS)
        try:
            return function(connection)
        finally:
            connection.set_progress_handler(None, 0)

    try:
        return cast("T", await run(begin))  # None is only for who has left
    except asyncio.CancelledError:
        has_left = True
        raise

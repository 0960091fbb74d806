"""The partitions of the weeks: made before they are needed, and dropped once nothing is in them.

Both are only tried: nobody who reads or writes waits for them longer than TABLES_MS_MAX, and what cannot be done now is
done another time. An event whose week is not there lies in the partition of no week, and nothing is wrong with it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import asyncpg

from webhookd.core.identifier import COUNTER_BITS
from webhookd.store.postgres.connection import Session, Speaking
from webhookd.store.postgres.transaction import alone

T = TypeVar("T")
WEEK_MS = 604_800_000
AHEAD = 2
"""Weeks after the running one."""
LOG_MS_MAX, TABLES_MS_MAX = 1_000, 100
"""How long whoever commits is waited for, and then whoever reads; meanwhile others wait behind this. The second is less
than the server takes to look for a deadlock (`deadlock_timeout`, 1 s): one that this is part of ends with this."""
SEARCH_MS_MAX = 1_000
"""How long the partition of no week is searched for what belongs into a new one."""
TRIES, REST_S = 5, 0.05
_NOT_NOW = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.CheckViolationError,  # the partition of no week has something of it
    asyncpg.InsufficientPrivilegeError,
)


def week_of(key: int) -> int:
    """The number of the week that an event of this key came in."""
    return (key >> COUNTER_BITS) // WEEK_MS


def week_begins(week: int) -> int:
    """The lowest key of a week."""
    return week * WEEK_MS << COUNTER_BITS


class NotNowError(Exception):
    """It was not to be had in so little time."""


class Emptied(NamedTuple):
    """A week that is over, and in which nothing was any more."""

    week: int
    bytes: int


class Weeks:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def make(self, at_ms: int | None = None) -> int:
        """Make those of this week and the next few that are not there; how many partitions that were.

        `at_ms` is Unix milliseconds; the server's clock if it is not given. Raises StoreUnavailableError.
        """
        made = 0
        try:
            for kind, week in await self._session.read("weeks.missing", (at_ms, AHEAD)):
                made += await tried(self._session, partial(_asked, "weeks.make", kind, week))
        except NotNowError:
            pass
        return made

    async def drop_empty(self, at_ms: int | None = None) -> Emptied | None:
        """Drop the first of those before the last week in which nothing is; None where there is none to be had.

        That of attempts goes after that of events: until then there may be more. Raises StoreUnavailableError.
        """
        try:
            for week, has_events, has_attempts in await self._session.read("weeks.over", (at_ms,)):
                freed = await self._drop_if_empty("event", week) if has_events else 0
                if freed is not None and has_attempts:
                    freed += await self._drop_if_empty("attempt", week) or 0
                if freed:
                    return Emptied(week, freed)
        except NotNowError:
            pass
        return None

    async def _drop_if_empty(self, kind: str, week: int) -> int | None:
        [(is_empty,)] = await self._session.read("weeks.is_empty", (kind, week))
        if not is_empty:  # asked first, so that nobody waits for nothing
            return None
        freed: int | None = await tried(self._session, partial(_asked, "weeks.drop_empty", kind, week))
        return freed


async def tried(session: Session, change: Callable[[Speaking], T]) -> T:
    """A change of tables, in a transaction of its own, while nobody commits anything else.

    Raises NotNowError, StoreUnavailableError.
    """
    for left in reversed(range(TRIES)):
        try:
            return await session.run(partial(_at_once, change=change))
        except NotNowError:
            if not left:
                raise
        await asyncio.sleep(REST_S)
    raise AssertionError


def _at_once(connection: Speaking, change: Callable[[Speaking], T]) -> T:
    def hurried(connection: Speaking) -> T:
        connection.ask(f"SET LOCAL lock_timeout = {TABLES_MS_MAX}")
        connection.ask(f"SET LOCAL statement_timeout = {SEARCH_MS_MAX}")
        return change(connection)

    try:
        return alone(connection, hurried, (f"SET LOCAL lock_timeout = {LOG_MS_MAX}",))
    except _NOT_NOW as error:
        raise NotNowError from error


def _asked(statement: str, kind: str, week: int, connection: Speaking) -> Any:
    return connection.execute(statement, (kind, week)).fetchone()[0]

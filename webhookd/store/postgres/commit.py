"""One batch of writes, one transaction, and what is known of it when the connection is lost in the middle."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from webhookd.core.delivery import Settlement
from webhookd.core.event import Event
from webhookd.store.postgres.connection import LostError, Session, Speaking, sorted_error
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError
from webhookd.store.sql.batch import Committed, note_alone, of_what_is_past, write_all
from webhookd.store.sql.connection import Write

T = TypeVar("T")
RETRY_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Waits before a lost connection is tried again, to find out what became of a commit; the last goes on."""
_LOCK = "SELECT pg_advisory_xact_lock{}(hashtextextended(current_schema() || ' log', 0))"
TOGETHER, ALONE = _LOCK.format("_shared"), _LOCK.format("")
_NUMBER = "SELECT pg_current_xact_id_if_assigned()::text"
_ROWS = (Event, Settlement)


class Committer:
    """Commits batches on a session of its own.

    Events and attempts of several nodes are written at the same time; a change has the log to itself, as if there were
    one writer: what it has read is so until it has written.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.is_closing = False

    async def apply(self, batch: Sequence[Write]) -> Committed:
        """A write that cannot be made fails alone, the others are made again. Raises StoreUnavailableError.

        When the connection is lost during COMMIT it is found out what became of it, however long that takes: events and
        attempts are known by their ids, other changes by the number of their transaction.
        """
        try:
            return await self._transaction(batch)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - it is that of a write
            if len(batch) == 1:
                return await self._alone(batch[0], error)
            alone = [await self.apply([write]) for write in batch]
            return Committed(
                [committed.results[0] for committed in alone],
                [due for committed in alone for due in committed.owed],
                all(committed.owed_complete for committed in alone),
            )

    async def _alone(self, write: Write, error: Exception) -> Committed:
        settlement = await self._session.run(partial(of_what_is_past, write=write))
        if settlement is None:
            return Committed([sorted_error(error)], [], owed_complete=True)
        if (aftermath := settlement.aftermath) is None:
            return Committed([None], [], owed_complete=True)
        note = partial(note_alone, settlement=settlement, aftermath=aftermath)
        return msgspec.structs.replace(await self.apply([note]), owed_complete=False)

    async def _transaction(self, batch: Sequence[Write]) -> Committed:
        is_of_rows = all(isinstance(each, _ROWS) for each in batch)
        asked_to_commit: list[tuple[str | None, Committed]] = []

        def run(connection: Speaking) -> Committed:
            asked_to_commit.clear()
            connection.ask("BEGIN")
            connection.ask(TOGETHER if is_of_rows else ALONE)
            committed = write_all(connection, batch)
            asked_to_commit.append((None if is_of_rows else connection.ask(_NUMBER).fetchone()[0], committed))
            connection.ask("COMMIT")
            return committed

        try:
            return await self._session.run(run)
        except LostError:
            if not asked_to_commit:
                raise
        if is_of_rows:
            return await self._again(partial(self._session.run, run))
        number, committed = asked_to_commit[0]
        if number is None or await self._again(partial(self._is_committed, number)):
            return committed
        raise StoreUnavailableError("the connection to PostgreSQL was lost, and nothing was changed")

    async def _is_committed(self, number: str) -> bool:
        """Raises LostError while the server is still at it."""
        [(status,)] = await self._session.query("SELECT pg_xact_status($1::text::xid8)", (number,))
        if status == "in progress":
            raise LostError("it is not over yet")
        return bool(status == "committed")

    async def _again(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Until it is answered; once the store is closing, no longer. Raises StoreUnavailableError then."""
        waits = iter(RETRY_S)
        while True:
            try:
                return await ask()
            except StoreUnavailableError:
                if self.is_closing:
                    raise
            await asyncio.sleep(next(waits, RETRY_S[-1]))

"""One batch of writes, one transaction, and what is known of it when the connection is lost in the middle."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeGuard, TypeVar

import msgspec

from webhookd.store.postgres.at_once import ODD, Row, may_be_new, write_at_once
from webhookd.store.postgres.connection import LostError, Session, Speaking, sorted_error
from webhookd.store.postgres.transaction import alone, together
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError
from webhookd.store.sql.batch import Committed, note_alone, of_what_is_past, write_all
from webhookd.store.sql.connection import Write

T = TypeVar("T")
RETRY_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Waits before a lost connection is tried again, to find out what became of a commit; the last goes on."""
_HAS_WRITTEN = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"


def _is_of_rows(batch: Sequence[Write]) -> TypeGuard[Sequence[Row]]:
    return all(isinstance(each, Row) for each in batch)


class Committer:
    """Commits batches on a session of its own: events and attempts together with other nodes, a change alone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process = secrets.randbits(63)
        self._changes = 0
        self.is_closing = False

    async def apply(self, batch: Sequence[Write]) -> Committed:
        """A write that cannot be made fails alone, the others are made again. Raises StoreUnavailableError.

        When the connection is lost during COMMIT it is found out what became of it, however long that takes: events and
        attempts are known by their ids, other changes by a number that is written with them.
        """
        if not (_is_of_rows(batch) and any(map(may_be_new, batch))):
            return await self._narrowed(batch)
        try:
            committed = await self._written(partial(self._session.run, partial(write_at_once, batch=batch)))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - it is that of a row
            return await self._narrowed(batch)
        if odd := [place for place, result in enumerate(committed.results) if result is ODD]:
            await self._finish(committed, odd, [batch[place] for place in odd])
        return committed

    async def _finish(self, committed: Committed, places: Sequence[int], odd: Sequence[Write]) -> None:
        """The rest of a batch. What can be said of it does not make undone what was committed before."""
        try:
            rest = await self._narrowed(odd)
        except StoreUnavailableError as error:
            rest = Committed([error] * len(odd), [], owed_complete=True)
        for place, result in zip(places, rest.results, strict=True):
            committed.results[place] = result
        committed.owed += rest.owed
        committed.owed_complete &= rest.owed_complete

    async def _narrowed(self, batch: Sequence[Write]) -> Committed:
        """One transaction, or one for each write where one of them cannot be made."""
        try:
            return await self._transaction(batch)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - it is that of a write
            if len(batch) == 1:
                return await self._alone(batch[0], error)
            alone = [await self._narrowed([write]) for write in batch]
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
        return msgspec.structs.replace(await self._narrowed([note]), owed_complete=False)

    async def _transaction(self, batch: Sequence[Write]) -> Committed:
        is_of_rows = _is_of_rows(batch)
        asked_to_commit: list[tuple[int | None, Committed]] = []

        def write(connection: Speaking) -> Committed:
            committed = write_all(connection, batch)
            asked_to_commit.append((None if is_of_rows else self._noted(connection), committed))
            return committed

        def run(connection: Speaking) -> Committed:
            asked_to_commit.clear()
            return (together if is_of_rows else alone)(connection, write)

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

    async def _written(self, write: Callable[[], Awaitable[T]]) -> T:
        """Of what may be written again. Raises StoreUnavailableError when there is no connection to begin with."""
        try:
            return await write()
        except LostError:
            return await self._again(write)

    def _noted(self, connection: Speaking) -> int | None:
        """The number of what is being changed; None where nothing has been written."""
        if not connection.ask(_HAS_WRITTEN).fetchone()[0]:
            return None
        self._changes += 1
        connection.execute("change.note", {"process": self._process, "number": self._changes})
        return self._changes

    async def _is_committed(self, number: int) -> bool:
        """Once the server is no longer at it: until then it has the log to itself."""

        def is_noted(connection: Speaking) -> bool:
            row = connection.execute("change.noted", {"process": self._process}).fetchone()
            return bool(row == (number,))

        return await self._session.run(partial(alone, change=is_noted))

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

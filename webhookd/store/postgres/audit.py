"""Every promise checked against what PostgreSQL keeps, beside running nodes. Changes nothing."""

import struct
from collections.abc import Iterator, Sequence

import asyncpg

from webhookd.core.identifier import delivery_id, event_id
from webhookd.postgres_errors import in_its_words
from webhookd.store.postgres.connection import Session, Speaking
from webhookd.store.postgres.database import UnfitDatabaseError, connect, why_unfit
from webhookd.store.postgres.recount import Recount
from webhookd.store.protocol.store import Reread
from webhookd.store.sql.audit import Finding, Progress, among_deliveries, in_the_ledger, in_the_log, unheard
from webhookd.store.sql.recount import UnreadableError

_UNREADABLE = (asyncpg.InternalServerError, UnreadableError, UnicodeDecodeError, struct.error)
"""Of damaged pages, and of rows that nobody can have written so."""


async def audit(url: str, reread: Reread, progress: Progress = unheard) -> Sequence[Finding]:
    """All that is wrong. Raises UnfitDatabaseError where there is no store of webhookd's, and StoreUnavailableError.

    `progress` is called on the loop, which has its turns in between.
    """
    session = Session(connect(url, "verify"))
    try:
        return await session.run(lambda connection: [*_findings(connection, reread, progress)])
    finally:
        await session.close()


def _findings(connection: Speaking, reread: Reread, progress: Progress) -> Iterator[Finding]:
    _recognise(connection)
    recount = Recount(connection, reread)
    try:
        yield from _integrity(connection, progress)
        yield from in_the_log(recount, progress)
        yield from among_deliveries(connection, progress)
        yield from in_the_ledger(recount, connection, progress)
    except _UNREADABLE as error:
        yield Finding("integrity", "database", f"cannot be read further: {in_its_words(error)}")


def _recognise(connection: Speaking) -> None:
    try:
        version = connection.ask("SELECT schema_version FROM webhookd").fetchone()
    except asyncpg.UndefinedTableError:
        version = None
    if version is None:
        raise UnfitDatabaseError("store.url: there is no store of webhookd's in this schema")
    if (why := why_unfit(version[0])) is not None:
        raise UnfitDatabaseError(why)


def _integrity(connection: Speaking, progress: Progress) -> Iterator[Finding]:
    """What the server itself finds wrong with its indexes, if it can be asked, and what points to nothing."""
    progress("integrity of the database", 0, None)
    for (checker,) in connection.execute("audit.checker").fetchall():
        for index, name in connection.execute("audit.indexes").fetchall():
            try:
                connection.ask(f"SELECT {checker}({index}::oid::regclass, true)")
            except asyncpg.InternalServerError as error:
                yield Finding("integrity", f"index {name}", in_its_words(error))
    for key, salt in connection.execute("audit.unknown"):
        yield Finding("integrity", event_id(key, salt), "is there, and not known by its id")
    for key, salt in connection.execute("audit.nowhere"):
        yield Finding("integrity", event_id(key, salt), "is known by its id, and neither in the log nor past")
    for event, endpoint in connection.execute("audit.of_no_event"):
        yield Finding("integrity", f"delivery {delivery_id(event, endpoint)}", "points to nothing in event")
    for event, endpoint, number in connection.execute("audit.of_no_delivery"):
        detail = "points to nothing in delivery"
        yield Finding("integrity", f"attempt {number} of {delivery_id(event, endpoint)}", detail)

"""The event log and its outbox in SQLite: one connection writes, group-committed; two others only read."""

import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from webhookd.core.delivery import Due, Priority, Settlement
from webhookd.core.endpoint import Endpoint, EndpointSpec, EndpointState
from webhookd.core.event import Appended, Event
from webhookd.core.signature import new_secret
from webhookd.store import endpoints, looks, schedule
from webhookd.store.backup import SqliteBackups
from webhookd.store.batch import Write, apply
from webhookd.store.cancel import SqliteCancels
from webhookd.store.connection import SerialConnection, Writer, open_reader, open_writer
from webhookd.store.dead import SqliteDeadLetters
from webhookd.store.endpoint_protocol import EndpointRow, KeptEndpoint
from webhookd.store.feed import SqliteFeed, landed
from webhookd.store.feed_protocol import Landed
from webhookd.store.group_commit import GroupCommit
from webhookd.store.ledger import LedgerReader
from webhookd.store.lookup import SqliteLookup
from webhookd.store.minutes import SqliteMinutes
from webhookd.store.protocol import (
    LATEST_MS,
    AttemptRow,
    DeliveryRow,
    DueBatch,
    EventRow,
    Filter,
    Looked,
    StoreBrokenError,
    StoreError,
    Stretch,
)
from webhookd.store.queries import SQL
from webhookd.store.rebuild import rebuild
from webhookd.store.reconcile import SqliteBooks
from webhookd.store.recount import Object, Reread
from webhookd.store.replay import SqliteReplays
from webhookd.store.retention import SqliteRetention
from webhookd.store.rows import event_row
from webhookd.store.seal import Seal, holds_secrets, seal_anew
from webhookd.store.sessions import SqliteSessions
from webhookd.store.story import SqliteStories
from webhookd.store.stuck import SqliteStuck
from webhookd.store.tokens import SqliteTokens
from webhookd.store.trail import SqliteTrail, on_record
from webhookd.store.trail_protocol import current_deed
from webhookd.store.upkeep import Upkeep

QUEUE_WRITES_MAX = 4096
QUEUE_BYTES_MAX = 64 * 2**20
Listener = Callable[[Sequence[Due], bool], None]
Committed = Callable[[float, int], None]
"""Told how long a commit took, in seconds, and how many writes it held."""
T = TypeVar("T")


class SqliteStore:
    """Fits every protocol of `store.protocol`. `open()` first; `close()` commits what is queued."""

    def __init__(
        self, path: Path, committed: Committed = lambda _seconds, _writes: None, *, checkpoints: bool = True
    ) -> None:
        """Without `checkpoints` another process moves the WAL into the database."""
        self._path = path
        self._checkpoints = checkpoints
        self._committed = committed
        self._listener: Listener = lambda _owed, _complete: None
        self._payment_listener: Callable[[str, str], None] | None = None
        self._commit_listener: Callable[[Landed], None] | None = None
        self._writes: GroupCommit[Write] = GroupCommit(
            self._commit, queue_max=QUEUE_WRITES_MAX, bytes_max=QUEUE_BYTES_MAX
        )
        self._broken_read: StoreBrokenError | None = None
        self._counting = 0
        self._seal: Seal
        self._writer: Writer
        self._due_reader: SerialConnection
        self._history_reader: SerialConnection
        self.upkeep: Upkeep

    @property
    def broken(self) -> StoreError | None:
        """Set once the disk has failed under the database; the process must stop then."""
        return self._writes.broken or self._broken_read or self.upkeep.broken

    @property
    def stalled(self) -> bool:
        """Whether a commit hangs and nothing is accepted until it returns."""
        return self._writes.stalled

    @property
    def queued(self) -> tuple[int, int]:
        """Writes, and bytes of events, that wait for a commit; the bytes in one count too."""
        return self._writes.queued

    async def answers(self) -> None:
        """Return once the writer has done nothing at all, in its turn: a sign that it lives."""
        await self._writer.run(lambda _connection: None)

    async def open(self) -> None:
        self._writer = await open_writer(self._path, checkpoints=self._checkpoints)
        self._due_reader = await open_reader(self._path)
        self._history_reader = await open_reader(self._path)
        self.upkeep = Upkeep(self._writer)
        self._writes.start()

    async def holds_secrets(self) -> bool:
        """Whether there is anything that `unlock` must be able to open."""
        return await self._history_reader.run(holds_secrets)

    async def unlock(self, seal: Seal) -> None:
        """Keep the endpoints' secrets under this seal from here on, and those that are here under its current key.

        Raises SealError when it does not open one, and then nothing has changed.
        """
        await self._change(lambda connection: seal_anew(connection, seal))
        self._seal = seal

    async def close(self) -> None:
        await self._writes.stop()
        await self.upkeep.ended()
        readers, writer = (self._history_reader, self._due_reader), self._writer
        # The writer, if it is last, moves the WAL into the database. Of a disk that has failed nothing more is asked;
        # but what is in a WAL that has lost its place would be gone.
        leaves_the_wal = not self._checkpoints or (self.broken is not None and not writer.wal.is_elsewhere)
        for connection in (writer, *readers) if leaves_the_wal else (*readers, writer):
            await connection.close()

    async def last_key(self) -> int:
        [(key,)] = await self._history_reader.read(SQL["last_key"])
        return int(key)

    # --- EventLog

    def append(self, event: Event) -> Awaitable[Appended]:
        return cast(Awaitable[Appended], self._writes.submit(event, event.size))

    # --- Outbox

    def announce(self, listener: Listener) -> None:
        self._listener = listener

    async def due(
        self,
        endpoint: int,
        now_ms: int,
        known: Sequence[int],
        rooms: Mapping[Priority, int],
        bytes_max: int,
        wait_ms_max: int = LATEST_MS,
    ) -> DueBatch:
        read = partial(
            schedule.due,
            endpoint=endpoint,
            now_ms=now_ms,
            known=known,
            rooms=rooms,
            bytes_max=bytes_max,
            wait_ms_max=wait_ms_max,
        )
        try:
            return await self._due_reader.run(self._writer.wal.shown(read))
        except StoreBrokenError as error:
            self._broken_read = error
            raise

    async def settle(self, settlement: Settlement) -> None:
        await self._writes.submit(settlement)

    async def retime(self, endpoint: int, stretch: Stretch, by_ms: int, new_ms: int) -> Stretch | None:
        change = partial(schedule.retime, endpoint=endpoint, stretch=stretch, by_ms=by_ms, new_ms=new_ms)
        return cast("Stretch | None", await self._writes.submit(change, patient=True))

    # --- Endpoints

    async def kept_endpoints(self) -> Sequence[KeptEndpoint]:
        return await self._change(lambda connection: endpoints.kept(connection, self._seal))

    async def adopt(
        self, specs: Sequence[EndpointSpec], now_ms: int, kept: Sequence[EndpointSpec] = ()
    ) -> Sequence[Endpoint]:
        generated = {spec.name: new_secret(secrets.token_bytes(32)) for spec in specs}
        return await self._change(
            lambda connection: endpoints.adopt(connection, self._seal, specs, kept, generated, now_ms)
        )

    async def add_endpoint(self, spec: EndpointSpec, settings: bytes, secret: str, now_ms: int) -> Endpoint | None:
        return await self._change(
            lambda connection: endpoints.add(connection, self._seal, spec, settings, secret, now_ms)
        )

    async def change_endpoint(self, spec: EndpointSpec, settings: bytes, now_ms: int) -> Endpoint | None:
        return await self._change(lambda connection: endpoints.change(connection, self._seal, spec, settings, now_ms))

    async def remove_endpoint(self, name: str) -> bool:
        return await self._change(lambda connection: endpoints.remove(connection, name))

    async def set_endpoint_state(self, name: str, state: EndpointState) -> bool:
        return await self._change(lambda connection: endpoints.set_state(connection, name, state))

    async def rotate_secret(self, spec: EndpointSpec, secret: str, now_ms: int, until_ms: int) -> Endpoint:
        return await self._change(
            lambda connection: endpoints.rotate(connection, self._seal, spec, secret, now_ms, until_ms)
        )

    async def endpoint(self, name: str) -> EndpointRow | None:
        rows = await self._history_reader.read(SQL["endpoints"], endpoints.narrowed(name=name))
        return endpoints.row(rows[0]) if rows else None

    async def endpoints(self, after: int = 0, limit: int = -1, **narrower: Any) -> Sequence[EndpointRow]:
        narrowed = endpoints.narrowed(after=after, limit=limit, **narrower)
        return [endpoints.row(each) for each in await self._history_reader.read(SQL["endpoints"], narrowed)]

    # --- History

    async def events(self, narrowed: Filter, limit: int) -> Looked[EventRow]:
        return await self._history_reader.look(lambda connection: looks.events(connection, narrowed, limit))

    async def event(self, key: int, salt: int) -> EventRow | None:
        rows = await self._history_reader.read(SQL["event"], (key, salt))
        return event_row(rows[0]) if rows else None

    async def body(self, key: int) -> bytes | None:
        rows = await self._history_reader.read(SQL["body"], (key,))
        return rows[0][0] if rows else None

    async def deliveries(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        return await self._history_reader.look(lambda connection: looks.deliveries(connection, narrowed, limit))

    async def deliveries_of(self, event: int) -> Sequence[DeliveryRow]:
        return [DeliveryRow(*row) for row in await self._history_reader.read(SQL["deliveries_of"], (event,))]

    async def delivery(self, event: int, endpoint: int) -> DeliveryRow | None:
        rows = await self._history_reader.read(SQL["delivery"], (event, endpoint))
        return DeliveryRow(*rows[0]) if rows else None

    async def attempts(self, event: int, endpoint: int) -> Sequence[AttemptRow]:
        rows = await self._history_reader.read(SQL["attempts"], (event, endpoint))
        return [AttemptRow(*row) for row in rows]

    # --- Ledger

    def watch_payments(self, listener: Callable[[str, str], None]) -> None:
        self._payment_listener = listener

    @property
    def ledger(self) -> LedgerReader:
        """Reads what the triggers write."""
        return LedgerReader(self._history_reader)

    @property
    def feed(self) -> SqliteFeed:
        return SqliteFeed(self._history_reader, self.watch_commits)

    def watch_commits(self, listener: Callable[[Landed], None] | None) -> None:
        self._commit_listener = listener

    @property
    def lookup(self) -> SqliteLookup:
        return SqliteLookup(self._history_reader)

    @property
    def dead_letters(self) -> SqliteDeadLetters:
        return SqliteDeadLetters(self._history_reader)

    @property
    def cancels(self) -> SqliteCancels:
        return SqliteCancels(self._change)

    @property
    def replays(self) -> SqliteReplays:
        return SqliteReplays(self._history_reader, self._change)

    @property
    def tokens(self) -> SqliteTokens:
        return SqliteTokens(self._history_reader, self._change)

    @property
    def sessions(self) -> SqliteSessions:
        return SqliteSessions(self._history_reader, self._change)

    @property
    def minutes(self) -> SqliteMinutes:
        return SqliteMinutes(self._history_reader, self._change)

    @property
    def trail(self) -> SqliteTrail:
        return SqliteTrail(self._history_reader, self._change)

    @property
    def outbox_survey(self) -> SqliteStuck:
        return SqliteStuck(self._history_reader.look)

    @property
    def stories(self) -> SqliteStories:
        return SqliteStories(self._history_reader)

    @property
    def books(self) -> SqliteBooks:
        return SqliteBooks(self._history_reader)

    @property
    def retention(self) -> SqliteRetention:
        return SqliteRetention(
            self._history_reader, self._change, lambda: self._writes.queued[0], lambda: self._counting > 0
        )

    def backups(self, keep_free: int) -> SqliteBackups:
        """`keep_free` bytes of the disk are not for backups."""
        return SqliteBackups(self._path, self._writer, self._history_reader, keep_free)

    async def odd_events(self) -> Mapping[str, int]:
        return dict(await self._history_reader.read(SQL["odd_events"]))

    async def rebuild_ledger(self, reread: Reread, told: Callable[[int, int], None]) -> int:
        """Count the log again and put right what the ledger has otherwise; how many objects that were."""
        self._counting += 1
        try:
            return await rebuild(self._path, reread, self._writer, self._change, told, self._put_right)
        finally:
            self._counting -= 1

    def _put_right(self, each: Object) -> None:
        if self._payment_listener is not None and each.kind == "payment":
            self._payment_listener(each.provider, each.id)

    # --- The one writer

    async def _change(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Raises StoreUnavailableError when it is not made: to ask again would not be to ask for the same."""
        submit, deed = partial(self._writes.submit, patient=True), current_deed.get()
        if deed is None or deed.is_over:
            return cast(T, await submit(change))
        return cast(T, await on_record(change, deed, submit))

    async def _commit(self, batch: Sequence[Write]) -> Sequence[object]:
        began = time.perf_counter()
        committed = await self._writer.run(lambda connection: apply(connection, batch, self._writer.wal.commit))
        self.upkeep.after_commit()
        self._committed(time.perf_counter() - began, len(batch))
        if committed.owed or not committed.owed_complete:
            self._listener(committed.owed, committed.owed_complete)
        if self._commit_listener is not None:
            self._commit_listener(landed(batch, committed.results))
        if self._payment_listener is not None:
            for write in batch:
                if isinstance(write, Event) and write.payment_id is not None:
                    self._payment_listener(write.provider, write.payment_id)
        return committed.results

"""What every store in SQL is asked, and what it does about it; an engine says how it reads, and how it commits."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from webhookd.core.delivery import Due, Priority, Settlement
from webhookd.core.endpoint import Endpoint, EndpointSpec, EndpointState
from webhookd.core.event import Appended, Event
from webhookd.core.signature import new_secret
from webhookd.store.group_commit import GroupCommit
from webhookd.store.protocol.endpoints import EndpointRow, KeptEndpoint
from webhookd.store.protocol.feed import Landed
from webhookd.store.protocol.history import AttemptRow, DeliveryRow, EventRow, Filter, Looked
from webhookd.store.protocol.log import LATEST_MS, DueBatch, Stretch
from webhookd.store.protocol.trail import current_deed
from webhookd.store.seal import Seal, seal_anew
from webhookd.store.sql import endpoints, looks, schedule
from webhookd.store.sql.batch import Committed
from webhookd.store.sql.cancel import SqlCancels
from webhookd.store.sql.connection import Connection, Reader, Write
from webhookd.store.sql.dead import SqlDeadLetters
from webhookd.store.sql.feed import SqlFeed, landed
from webhookd.store.sql.ledger import LedgerReader
from webhookd.store.sql.lookup import SqlLookup
from webhookd.store.sql.minutes import SqlMinutes
from webhookd.store.sql.reconcile import SqlBooks
from webhookd.store.sql.recount import Object
from webhookd.store.sql.replay import SqlReplays
from webhookd.store.sql.rows import event_row
from webhookd.store.sql.schedule import Look
from webhookd.store.sql.sessions import SqlSessions
from webhookd.store.sql.story import SqlStories
from webhookd.store.sql.stuck import SqlStuck
from webhookd.store.sql.tokens import SqlTokens
from webhookd.store.sql.trail import SqlTrail, on_record

QUEUE_WRITES_MAX = 4096
QUEUE_BYTES_MAX = 64 * 2**20
Listener = Callable[[Sequence[Due], bool], None]
Told = Callable[[float, int], None]
"""Told how long a commit took, in seconds, and how many writes it held."""
T = TypeVar("T")


class SqlStore:
    """Fits the protocols of `store.protocol`, but for what only an engine knows how to do."""

    _history_reader: Reader

    def __init__(self, told: Told) -> None:
        self._told = told
        self._listener: Listener = lambda _owed, _complete: None
        self._payment_listener: Callable[[str, str], None] | None = None
        self._commit_listener: Callable[[Landed], None] | None = None
        self._writes: GroupCommit[Write] = GroupCommit(
            self._commit, queue_max=QUEUE_WRITES_MAX, bytes_max=QUEUE_BYTES_MAX
        )
        self._seal: Seal

    # --- What an engine does

    async def _apply(self, batch: Sequence[Write]) -> Committed:
        """Commit these writes: one sync. One that cannot be made fails alone, the others are made again."""
        raise NotImplementedError

    async def _read_due(self, look: Look) -> DueBatch:
        """What is owed, as it is durable."""
        raise NotImplementedError

    # --- Commits

    @property
    def stalled(self) -> bool:
        """Whether a commit hangs and nothing is accepted until it returns."""
        return self._writes.stalled

    @property
    def queued(self) -> tuple[int, int]:
        """Writes, and bytes of events, that wait for a commit; the bytes in one count too."""
        return self._writes.queued

    async def _change(self, change: Callable[[Connection], T]) -> T:
        """Raises StoreUnavailableError when it is not made: to ask again would not be to ask for the same."""
        submit, deed = partial(self._writes.submit, patient=True), current_deed.get()
        if deed is None or deed.is_over:
            return cast(T, await submit(change))
        return cast(T, await on_record(change, deed, submit))

    async def _commit(self, batch: Sequence[Write]) -> Sequence[object]:
        began = time.perf_counter()
        committed = await self._apply(batch)
        self._told(time.perf_counter() - began, len(batch))
        if committed.owed or not committed.owed_complete:
            self._listener(committed.owed, committed.owed_complete)
        if self._commit_listener is not None:
            self._commit_listener(landed(batch, committed.results))
        if self._payment_listener is not None:
            for write in batch:
                if isinstance(write, Event) and write.payment_id is not None:
                    self._payment_listener(write.provider, write.payment_id)
        return committed.results

    # --- Secrets

    async def holds_secrets(self) -> bool:
        """Whether there is anything that `unlock` must be able to open."""
        raise NotImplementedError

    async def unlock(self, seal: Seal) -> None:
        """Keep the endpoints' secrets under this seal from here on, and those that are here under its current key.

        Raises SealError when it does not open one, and then nothing has changed.
        """
        await self._change(lambda connection: seal_anew(connection, seal))
        self._seal = seal

    async def last_key(self) -> int:
        [(key,)] = await self._history_reader.read("log.last_key")
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
        return await self._read_due(Look(endpoint, now_ms, known, rooms, bytes_max, wait_ms_max))

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

    async def endpoints_as_they_stand(self, specs: Sequence[EndpointSpec], now_ms: int) -> Sequence[Endpoint]:
        return await self._history_reader.look(
            lambda connection: endpoints.standing(connection, self._seal, specs, now_ms)
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
        rows = await self._history_reader.read("log.endpoints", endpoints.narrowed(name=name))
        return endpoints.row(rows[0]) if rows else None

    async def endpoints(self, after: int = 0, limit: int = -1, **narrower: Any) -> Sequence[EndpointRow]:
        narrowed = endpoints.narrowed(after=after, limit=limit, **narrower)
        return [endpoints.row(each) for each in await self._history_reader.read("log.endpoints", narrowed)]

    # --- History

    async def events(self, narrowed: Filter, limit: int) -> Looked[EventRow]:
        return await self._history_reader.look(lambda connection: looks.events(connection, narrowed, limit))

    async def event(self, key: int, salt: int) -> EventRow | None:
        rows = await self._history_reader.read("log.event", (key, salt))
        return event_row(rows[0]) if rows else None

    async def body(self, key: int) -> bytes | None:
        rows = await self._history_reader.read("log.body", (key,))
        return rows[0][0] if rows else None

    async def deliveries(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        return await self._history_reader.look(lambda connection: looks.deliveries(connection, narrowed, limit))

    async def deliveries_of(self, event: int) -> Sequence[DeliveryRow]:
        return [DeliveryRow(*row) for row in await self._history_reader.read("log.deliveries_of", (event,))]

    async def delivery(self, event: int, endpoint: int) -> DeliveryRow | None:
        rows = await self._history_reader.read("log.delivery", (event, endpoint))
        return DeliveryRow(*rows[0]) if rows else None

    async def attempts(self, event: int, endpoint: int) -> Sequence[AttemptRow]:
        rows = await self._history_reader.read("log.attempts", (event, endpoint))
        return [AttemptRow(*row) for row in rows]

    # --- Ledger

    def watch_payments(self, listener: Callable[[str, str], None]) -> None:
        self._payment_listener = listener

    def _put_right(self, each: Object) -> None:
        """Of the ledger, by a rebuild."""
        if self._payment_listener is not None and each.kind == "payment":
            self._payment_listener(each.provider, each.id)

    @property
    def ledger(self) -> LedgerReader:
        """Reads what the triggers write."""
        return LedgerReader(self._history_reader)

    @property
    def feed(self) -> SqlFeed:
        return SqlFeed(self._history_reader, self.watch_commits)

    def watch_commits(self, listener: Callable[[Landed], None] | None) -> None:
        self._commit_listener = listener

    @property
    def lookup(self) -> SqlLookup:
        return SqlLookup(self._history_reader)

    @property
    def dead_letters(self) -> SqlDeadLetters:
        return SqlDeadLetters(self._history_reader)

    @property
    def cancels(self) -> SqlCancels:
        return SqlCancels(self._change)

    @property
    def replays(self) -> SqlReplays:
        return SqlReplays(self._history_reader, self._change)

    @property
    def tokens(self) -> SqlTokens:
        return SqlTokens(self._history_reader, self._change)

    @property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self._history_reader, self._change)

    @property
    def minutes(self) -> SqlMinutes:
        return SqlMinutes(self._history_reader, self._change)

    @property
    def trail(self) -> SqlTrail:
        return SqlTrail(self._history_reader, self._change)

    @property
    def outbox_survey(self) -> SqlStuck:
        return SqlStuck(self._history_reader.look)

    @property
    def stories(self) -> SqlStories:
        return SqlStories(self._history_reader)

    @property
    def books(self) -> SqlBooks:
        return SqlBooks(self._history_reader)

    async def odd_events(self) -> Mapping[str, int]:
        return dict(await self._history_reader.read("log.odd_events"))

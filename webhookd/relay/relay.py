"""Takes the rows of one outbox into the log, and only then out of the table.

A row that is in the log durably is deleted or marked in a transaction of its own. A crash between the two takes the row
again: the log knows its id, and it is a duplicate. So nothing is lost, and nothing is there twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from webhookd.clock import Clock
from webhookd.core.event import Appended, Hook
from webhookd.core.fault import place
from webhookd.providers.outbox import hook_of
from webhookd.providers.provider import NotUnderstoodError
from webhookd.relay.table import ROWS_MAX, OutboxError, Row, Table
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

WAIT_S_MIN, WAIT_S_MAX = 0.25, 5.0
"""Between two tries, while the table or the log cannot be had."""
HELD_MAX = 10 * ROWS_MAX
"""Rows that are in the log, and that somebody else holds so that they cannot be taken out of the table."""
Append = Callable[[Hook], Awaitable[Appended]]
_log = structlog.get_logger("webhookd.relay")


class Meter(Protocol):
    """What is counted here."""

    def hook(self, source: str, result: str, seconds: float) -> None: ...


class Standing(msgspec.Struct):
    """How it stands, for who asks."""

    trouble: str | None = "it has not been reached yet"
    """Why nothing is taken now; None when all is well."""
    oldest_at: int | None = None
    """When the oldest row was written that waits, Unix milliseconds, as far as known; None when none waits."""


class _LogUnavailableError(Exception):
    """The log takes nothing now. Rows stay where they are."""


class Relay:
    """`append` puts a row, read as a hook, into the log: what it raises is NotUnderstoodError, or a StoreError.

    `unready` says why nothing may be accepted now, or None.
    """

    def __init__(
        self,
        source: str,
        table: Table,
        append: Append,
        clock: Clock,
        meter: Meter,
        *,
        body_bytes_max: int,
        unready: Callable[[], str | None],
    ) -> None:
        self._source = source
        self._table = table
        self._append = append
        self._clock = clock
        self._meter = meter
        self._body_bytes_max = body_bytes_max
        self._unready = unready
        self._in_log: set[Any] = set()
        """Keys of rows that are in the log and still in the table. Of one connection: on another one a key may be that
        of another row, for a database can be put back."""
        self._refused: dict[Any, str] = {}
        """Why rows are refused that do not say so yet; of one connection, too."""
        self.standing = Standing()

    async def run(self) -> None:
        """Until it is cancelled. Whatever happens is waited out."""
        wait_s = WAIT_S_MIN
        while True:
            try:
                await self._table.open()
                self._well()
                wait_s = WAIT_S_MIN
                await self._follow()
            except OutboxError as error:
                self._trouble("outbox_waits", str(error))
            except Exception as error:  # noqa: BLE001 - one table must not end what all others are served by
                self._trouble("outbox_failed", f"{type(error).__name__} at {place(error)}")
            finally:
                self._in_log.clear()
                self._refused.clear()
                await self._table.close()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, WAIT_S_MAX)

    async def _follow(self) -> None:
        wait_s = WAIT_S_MIN
        while True:
            try:
                if (why := self._unready()) is not None:
                    raise _LogUnavailableError(why)
                is_all = await self._turn()
            except _LogUnavailableError as error:
                self._trouble("outbox_waits", f"the log takes nothing now: {error}")
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, WAIT_S_MAX)
                continue
            wait_s = WAIT_S_MIN
            if held := len(self._in_log) + len(self._refused):
                self._trouble("outbox_held", f"{held} rows are held by other transactions, and stay until these end")
            else:
                self._well()
            if is_all:
                await self._table.changed()

    async def _turn(self) -> bool:
        """Take the first rows that wait. Whether there was nothing more than was taken."""
        began = self._clock.monotonic()
        known = {*self._in_log, *self._refused}
        rows = await self._table.waiting(known, self._body_bytes_max) if len(known) < HELD_MAX else ()
        self._see(rows)
        appended = await asyncio.gather(*map(self._offer, rows), return_exceptions=True)
        for row, result in zip(rows, appended, strict=True):
            if isinstance(result, Appended) and not result.conflict:
                self._in_log.add(row.key)
                is_new = result.status == "accepted"
                self._meter.hook(self._source, "accepted" if is_new else "duplicate", self._clock.monotonic() - began)
            elif isinstance(result, Appended):
                self._refuse(row, "conflict", f"its id is that of {result.event_id}, which has another body")
            elif isinstance(result, _RefusedError):
                self._refuse(row, result.word, str(result))
        if self._in_log or self._refused:
            held = await self._table.take(self._in_log, self._refused)
            self._in_log.intersection_update(held)
            self._refused = {key: why for key, why in self._refused.items() if key in held}
        for result in appended:
            if isinstance(result, StoreUnavailableError | StoreBrokenError):
                raise _LogUnavailableError(str(result)) from result
            if isinstance(result, BaseException) and not isinstance(result, _RefusedError):
                raise result
        return not rows

    async def _offer(self, row: Row) -> Appended:
        """Raises _RefusedError for what can never be taken, and a StoreError."""
        if row.body is None and row.size > self._body_bytes_max:
            raise _RefusedError(
                "too_large", f"body has {row.size} bytes, and server.max_body is {self._body_bytes_max}"
            )
        hook = hook_of(row.columns, row.body or b"", self._clock.now_ms())
        try:
            return await self._append(hook)
        except NotUnderstoodError as error:
            raise _RefusedError("not_understood", str(error)) from None

    def _refuse(self, row: Row, word: str, why: str) -> None:
        self._refused[row.key] = why
        self._meter.hook(self._source, word, 0)
        _log.warning("row_refused", source=self._source, why=why, what="it stays in the table: see `refused` there")

    def _see(self, rows: Sequence[Row]) -> None:
        """How old what waits is, by its first row."""
        created = rows[0].columns.get("created_at") if rows else None
        self.standing.oldest_at = int(created) if created is not None else None

    def _well(self) -> None:
        if self.standing.trouble is not None:
            self.standing.trouble = None
            _log.info("outbox_followed", source=self._source)

    def _trouble(self, event: str, why: str) -> None:
        if self.standing.trouble != why:
            self.standing.trouble = why
            _log.warning(event, source=self._source, why=why, what="its rows stay in the table until then")


class _RefusedError(Exception):
    """The row can never be taken as it is. `word` is for the metrics."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(why)
        self.word = word

"""Takes the rows of one outbox into the log, and only then out of the table.

A row that is in the log durably is deleted or marked in a transaction of its own. A crash between the two takes the row
again: the log knows its id, and it is a duplicate. So nothing is lost, and nothing is there twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog

from webhookd.clock import Clock
from webhookd.core.event import Appended, Hook, occurred_ms
from webhookd.core.fault import place
from webhookd.providers.outbox import hook_of
from webhookd.providers.provider import NotUnderstoodError
from webhookd.relay.standing import Standing, State
from webhookd.relay.table import ROWS_MAX, OutboxError, Row, Table, TakenElsewhereError
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

WAIT_S_MIN, WAIT_S_MAX = 0.25, 5.0
"""Between two tries, while the table or the log cannot be had."""
HELD_MAX = 10 * ROWS_MAX
"""Rows that are in the log and that somebody else holds, so that they cannot be taken out of the table: when there are
so many, no others are read."""
COUNT_EVERY_S = 5.0
Append = Callable[[Hook], Awaitable[Appended]]
_log = structlog.get_logger("webhookd.relay")


class Meter(Protocol):
    """What is counted here."""

    def hook(self, source: str, result: str, seconds: float) -> None: ...


class LogUnavailableError(Exception):
    """The log takes nothing now. Rows stay where they are."""


class _RefusedError(Exception):
    """The row can never be taken as it is. `word` is for the metrics."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(why)
        self.word = word


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
        self._wait_s = WAIT_S_MIN
        self._counted_at: float | None = None
        self._in_log: set[Any] = set()
        """Keys of rows that are in the log and still in the table. Of one connection: on another one a key may be that
        of another row, for a database can be put back."""
        self._refused: dict[Any, str] = {}
        """Why rows are refused that do not say so yet; of one connection, too."""
        self.standing = Standing()

    async def run(self) -> None:
        """Until it is cancelled. Whatever happens is waited out."""
        while True:
            try:
                self._see_that_the_log_is_ready()
                await self._table.open()
                while True:
                    await self.turn()
                    self._wait_s = WAIT_S_MIN
            except LogUnavailableError as error:
                self._stands("waits", f"the log takes nothing now: {error}")
            except TakenElsewhereError as error:
                self._stands("stands_by", str(error))
            except OutboxError as error:
                self._stands("waits", str(error))
            except Exception as error:  # noqa: BLE001 - one table must not end what all others are served by
                self._stands("waits", f"{type(error).__name__} at {place(error)}: a fault of webhookd's own")
            finally:
                self._in_log.clear()
                self._refused.clear()
                await self._table.close()
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, WAIT_S_MAX)

    async def turn(self) -> None:
        """Take the first rows that wait; where there are none, wait until there may be some.

        Raises OutboxError, LogUnavailableError; what was stored before is taken out of the table all the same.
        """
        self._see_that_the_log_is_ready()
        known = {*self._in_log, *self._refused}
        began = self._clock.monotonic()
        rows = await self._table.waiting(known, self._body_bytes_max) if len(known) < HELD_MAX else ()
        await self._see(rows)
        offered = await asyncio.gather(*map(self._offer, rows), return_exceptions=True)
        for row, found in zip(rows, offered, strict=True):
            if isinstance(found, Appended):
                self._note(row, found, self._clock.monotonic() - began)
            elif isinstance(found, _RefusedError):
                self._refuse(row, found)
        self._tell_of(offered)
        held = await self._take_out()
        for found in offered:
            if isinstance(found, StoreUnavailableError | StoreBrokenError):
                raise LogUnavailableError(str(found)) from found
            if isinstance(found, BaseException) and not isinstance(found, _RefusedError):
                raise found
        if held:
            self._stands("waits", f"{held} rows are locked by others, and cannot be taken out of the table yet")
        else:
            self._stands("follows")
        if not rows:
            await self._table.changed()

    def _see_that_the_log_is_ready(self) -> None:
        if (why := self._unready()) is not None:
            raise LogUnavailableError(why)

    async def _offer(self, row: Row) -> Appended:
        """Raises _RefusedError for what can never be taken, and a StoreError."""
        if row.body is None and row.size > self._body_bytes_max:
            most = self._body_bytes_max
            raise _RefusedError("too_large", f"body has {row.size} bytes, and server.max_body is {most}")
        hook = hook_of(row.columns, row.body or b"", self._clock.now_ms())
        try:
            appended = await self._append(hook)
        except NotUnderstoodError as error:
            raise _RefusedError("not_understood", str(error)) from None
        if appended.conflict:
            raise _RefusedError("conflict", f"id is that of {appended.event_id}, which has another body and stands")
        return appended

    def _note(self, row: Row, appended: Appended, seconds: float) -> None:
        """Of what the log has durably, now or already."""
        self._in_log.add(row.key)
        if appended.status == "accepted":
            self.standing.last_at = self._clock.now_ms()
        self._meter.hook(self._source, appended.status, seconds)

    def _refuse(self, row: Row, error: _RefusedError) -> None:
        self._refused[row.key] = str(error)
        self._meter.hook(self._source, error.word, 0)

    def _tell_of(self, offered: Sequence[object]) -> None:
        """A line for all of a turn: there may be many."""
        if refused := [each for each in offered if isinstance(each, _RefusedError)]:
            what = "they stay, each with the reason in its column `refused`"
            _log.warning("rows_refused", source=self._source, rows=len(refused), first=str(refused[0]), what=what)

    async def _take_out(self) -> int:
        """How many rows of those that have come so far are still there, for somebody else holds them."""
        if self._in_log or self._refused:
            held = await self._table.take(self._in_log, self._refused)
            self._in_log.intersection_update(held)
            self._refused = {key: why for key, why in self._refused.items() if key in held}
        return len(self._in_log) + len(self._refused)

    async def _see(self, rows: Sequence[Row]) -> None:
        """How many wait, and for how long: counted now and then, where there are more than these."""
        standing, now = self.standing, self._clock.monotonic()
        if len(rows) < ROWS_MAX:
            standing.waiting = len(rows)
            standing.oldest_at = _moment(rows[0].columns.get("created_at")) if rows else None
        elif self._counted_at is None or now - self._counted_at > COUNT_EVERY_S:
            self._counted_at = now
            standing.waiting, oldest_at = await self._table.backlog()
            standing.oldest_at = _moment(oldest_at)

    def _stands(self, state: State, why: str | None = None) -> None:
        standing = self.standing
        if (standing.state, standing.why) != (state, why):
            standing.state, standing.why = state, why
            say = _log.warning if state == "waits" else _log.info
            say(f"outbox_{state}", source=self._source, **({} if why is None else {"why": why}))


def _moment(at_ms: str | int | None) -> int | None:
    """A time of the application's, if anybody can have meant it."""
    return None if at_ms is None else occurred_ms(int(at_ms) / 1_000)

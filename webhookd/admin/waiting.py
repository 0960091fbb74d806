"""Who waits for a payment to settle. Told by the store's commits, so that waiting asks the store for nothing."""

import asyncio
from collections.abc import Sequence
from functools import partial

from webhookd.admin.door.reasons import BusyError
from webhookd.clock import Clock
from webhookd.core.ledger import SETTLED
from webhookd.store.protocol.ledger import Ledger, PaymentRow, Payments

WAITING_MAX = 20_000
"""Requests that wait at once."""
READS_MAX = 16
"""Reads under way for those that moved, so that other reads get their turn in between."""
ANSWERED_MAX = 100
"""Answers in one turn of the event loop, so that hooks get theirs in between."""
_Waiting = asyncio.Future[PaymentRow | None]


class _Watched:
    """A payment that somebody waits for."""

    def __init__(self) -> None:
        self.row: PaymentRow | None = None
        self.outdated = True
        """Set by a commit. A read clears it before it begins: what is announced from then on makes another follow."""
        self.waiting: set[_Waiting] = set()
        self.late: set[_Waiting] = set()
        """Whose time was over while a read was under way: it is for them as well."""
        self.reader: asyncio.Task[None] | None = None


class Lookout:
    """One read for each payment somebody asks for, and one for each commit that moves it, however many wait."""

    def __init__(self, ledger: Ledger, payments: Payments, clock: Clock, waiting_max: int = WAITING_MAX) -> None:
        self._ledger = ledger
        self._clock = clock
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._turns = asyncio.Semaphore(READS_MAX)
        self._closed = False
        self.waiting = 0
        self._waiting_max = waiting_max
        payments.watch_payments(self._moved)

    async def settled(self, provider: str, payment_id: str, wait_s: float) -> PaymentRow | None:
        """The payment once it is settled, or as it was last known when the time is over; None: nobody spoke of it yet.

        Raises BusyError when too many wait or the daemon stops, StoreUnavailableError when it could not be read.
        """
        if self._closed:
            raise BusyError("The daemon is stopping.")
        if self.waiting >= self._waiting_max:
            raise BusyError("Too many requests wait for a payment already; ask without wait, or again.")
        key = provider, payment_id
        watched = self._watched.get(key)
        if watched is None:
            watched = self._watched[key] = _Watched()
            self._read(key, watched)
        waiting: _Waiting = asyncio.get_running_loop().create_future()
        watched.waiting.add(waiting)
        self.waiting += 1
        timer = self._clock.call_later(wait_s, partial(_time_over, watched, waiting))
        try:
            return await waiting
        finally:
            timer.cancel()
            self.waiting -= 1
            watched.waiting.discard(waiting)
            watched.late.discard(waiting)
            if not watched.waiting:
                self._forget(key, watched)

    def close(self) -> None:
        """Answer everybody with what is known."""
        self._closed = True
        for watched in self._watched.values():
            for waiting in watched.waiting:
                if not waiting.done() and watched.row is not None:
                    waiting.set_result(watched.row)
                elif not waiting.done():
                    waiting.set_exception(BusyError("The daemon is stopping."))

    def _moved(self, provider: str, payment_id: str) -> None:
        key = provider, payment_id
        watched = self._watched.get(key)
        if watched is not None:
            watched.outdated = True
            self._read(key, watched)

    def _read(self, key: tuple[str, str], watched: _Watched) -> None:
        if watched.reader is None:
            watched.reader = asyncio.create_task(self._read_on(key, watched), name="lookout")

    async def _read_on(self, key: tuple[str, str], watched: _Watched) -> None:
        """Until what was read is no older than the last commit that spoke of the payment."""
        try:
            while watched.outdated:
                async with self._turns:
                    watched.outdated = False
                    watched.row = await self._ledger.payment(*key)
            watched.reader = None
            if watched.row is not None and watched.row.status in SETTLED:
                self._forget(key, watched)
                await _answer([*watched.waiting], watched.row)
            else:
                await _answer([*watched.late], watched.row)
        except Exception as error:  # noqa: BLE001 - it is for those who wait
            self._forget(key, watched)
            for waiting in watched.waiting:
                if not waiting.done():
                    waiting.set_exception(error)

    def _forget(self, key: tuple[str, str], watched: _Watched) -> None:
        """Who asks from now on begins anew. Nobody hears of what is read for it now."""
        if self._watched.get(key) is watched:
            del self._watched[key]
        if watched.reader is not None and watched.reader is not asyncio.current_task():
            watched.reader.cancel()


def _time_over(watched: _Watched, waiting: _Waiting) -> None:
    if watched.reader is not None:
        watched.late.add(waiting)
    elif not waiting.done():
        waiting.set_result(watched.row)


async def _answer(all_waiting: Sequence[_Waiting], row: PaymentRow | None) -> None:
    for number, waiting in enumerate(all_waiting, 1):
        if not waiting.done():
            waiting.set_result(row)
        if number % ANSWERED_MAX == 0:
            await asyncio.sleep(0)

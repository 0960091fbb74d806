"""A store between the dispatcher and the true one: at times slow, at times unavailable, at times silent about a commit.

Which call is answered first does not depend on threads, so that a seed makes the same history each time.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from tests.fake_clock import FakeClock
from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, Due, Settlement
from webhookd.core.event import Appended, Event
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.log import DueBatch, Stretch

T = TypeVar("T")
QUIET_TURNS = 6
"""Turns of the loop after which nobody has anything left to do but to wait."""
SLOW_MS = 2_000


async def quiet() -> None:
    for _ in range(QUIET_TURNS):
        await asyncio.sleep(0)


class _Call(NamedTuple):
    is_read: bool
    work: Callable[[], Awaitable[Any]]
    answer: "asyncio.Future[Any]"


class Turnstile:
    """Calls go through in the order in which they come: each read alone, writes that follow each other together."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._serving: asyncio.Task[None] | None = None

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._through(True, work)

    async def write(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._through(False, work)

    async def idle(self) -> None:
        """Until nothing can happen before time passes: all is answered, and the loop has nothing to do."""
        await quiet()
        while self._serving is not None:
            await self._serving
            await quiet()

    async def _through(self, is_read: bool, work: Callable[[], Awaitable[T]]) -> T:
        call = _Call(is_read, work, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        answer: T = await call.answer
        return answer

    async def _serve(self) -> None:
        while self._waiting:
            await quiet()
            together = [self._waiting.popleft()]
            while not together[0].is_read and self._waiting and not self._waiting[0].is_read:
                together.append(self._waiting.popleft())
            answers = await asyncio.gather(*(call.work() for call in together), return_exceptions=True)
            await quiet()
            for call, answer in zip(together, answers, strict=True):
                if call.answer.done():
                    continue  # who asked was cut by a crash
                if isinstance(answer, BaseException):
                    call.answer.set_exception(answer)
                else:
                    call.answer.set_result(answer)
            await quiet()
        self._serving = None


class TroubledStore:
    """Fits `EventLog` and `Outbox`. `store` is the true one, another after each crash.

    `interrupt` is called while a settlement has not reached the disk, with the milliseconds until it will; `meddle`
    when one has, and nobody heard of it.
    """

    def __init__(
        self,
        store: Store,
        clock: FakeClock,
        dice: random.Random,
        unavailable: Sequence[tuple[float, float]],
        interrupt: Callable[[float], None],
        meddle: Callable[[DeliveryKey], None],
    ) -> None:
        self.store = store
        self.turnstile = Turnstile()
        self.refused = self.unheard = 0
        self.reads_refused_ms: list[float] = []
        self._clock, self._dice, self._unavailable = clock, dice, unavailable
        self._interrupt, self._meddle = interrupt, meddle

    def announce(self, listener: Callable[[Sequence[Due], bool], None]) -> None:
        self.store.announce(listener)

    async def due(self, *asked: Any) -> DueBatch:
        try:
            self._refuse()
        except StoreUnavailableError:
            self.reads_refused_ms.append(self._clock.monotonic() * 1_000)
            raise
        return await self.turnstile.read(lambda: self.store.due(*asked))

    async def retime(self, *asked: Any) -> Stretch | None:
        self._refuse()
        return await self.turnstile.write(lambda: self.store.retime(*asked))

    async def settle(self, settlement: Settlement) -> None:
        self._refuse()
        if self._dice.random() < 0.03:
            self._interrupt(SLOW_MS)
            await self._clock.sleep(SLOW_MS / 1_000)
        await self.turnstile.write(lambda: self.store.settle(settlement))
        if self._is_silent():
            self._meddle(settlement.key)
            raise StoreUnavailableError("the disk takes too long")

    async def append(self, event: Event) -> Appended:
        self._refuse()

        async def append() -> Appended:
            return await self.store.append(event)

        appended = await self.turnstile.write(append)
        if self._is_silent():
            raise StoreUnavailableError("the disk takes too long")
        return appended

    def _refuse(self) -> None:
        now_ms = self._clock.monotonic() * 1_000
        if any(begin <= now_ms < end for begin, end in self._unavailable) or self._dice.random() < 0.02:
            self.refused += 1
            raise StoreUnavailableError("the disk is full")

    def _is_silent(self) -> bool:
        """It is on disk, and nobody hears of it: a commit that took too long."""
        is_silent = self._dice.random() < 0.03
        self.unheard += is_silent
        return is_silent

"""A dispatcher on a real store, with a clock that only the test moves and merchants that do as they are told."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_clock import FakeClock
from tests.making import MINT, SEAL, event
from webhookd.core.delivery import DeliveryKey, Due, Outcome, Settlement
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.event import Event
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.notice import Notice
from webhookd.store.protocol.log import DueBatch
from webhookd.store.sqlite.store import SqliteStore


class NoMeter:
    def settled(self, endpoint: str, state: str) -> None: ...

    def delivered(self, seconds_since_received: float) -> None: ...

    def retried(self, endpoint: str) -> None: ...

    def tripped(self, endpoint: str) -> None: ...

    def stood_down(self, endpoint: str, why: str) -> None: ...


class World:
    """Everything around one dispatcher. `answers` decides what a merchant says; default: yes."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = FakeClock()
        self.answers: Callable[[Due], Outcome | None] = lambda _due: None
        self.attempts: list[tuple[int, str, DeliveryKey, int]] = []
        """(when, endpoint, delivery, number) in the order they were made."""
        self.in_flight: defaultdict[str, int] = defaultdict(int)
        self.in_flight_max: defaultdict[str, int] = defaultdict(int)
        self.faults: list[tuple[str, Exception]] = []
        self.endpoints: list[Endpoint] = []
        self.hold: asyncio.Event | None = None
        """While set and not yet released, attempts wait for it."""
        self.dispatcher: Any = None
        self.new_dispatcher()

    def new_dispatcher(self, **settings: Any) -> Dispatcher:
        """Another one on the same store, as after a restart."""
        self._kill()
        settings = {"max_in_flight": 100, "dice": lambda: 0.0, **settings}
        self.dispatcher = Dispatcher(
            self.store,
            self._attempt,
            self.clock,
            NoMeter(),
            failed=lambda *fault: self.faults.append(fault),
            notice=Notice(self.clock, MINT, lambda: 7),
            **settings,
        )
        self.store.announce(self.dispatcher.offer)
        return self.dispatcher

    def _kill(self) -> None:
        """The one before is no more: it fires no timer and starts nothing."""
        if self.dispatcher is not None:
            self.dispatcher._stopping = True
            self.dispatcher._alarms.stop()

    async def serve(self, *specs: EndpointSpec) -> None:
        self.endpoints = list(await self.store.adopt(specs, self.clock.now_ms()))
        self.dispatcher.serve(self.endpoints)

    async def append(self, count: int = 1, **fields: Any) -> list[Event]:
        events = [event(received_at=self.clock.now_ms(), **fields) for _ in range(count)]
        await asyncio.gather(*map(self.store.append, events))
        return events

    async def _attempt(self, endpoint: Endpoint, due: Due) -> Outcome:
        name = endpoint.spec.name
        self.attempts.append((self.clock.now_ms(), name, due.key, due.attempts + 1))
        self.in_flight[name] += 1
        self.in_flight_max[name] = max(self.in_flight_max[name], self.in_flight[name])
        if self.hold is not None:
            await self.hold.wait()
        else:
            await asyncio.sleep(0)
        self.in_flight[name] -= 1
        return self.answers(due) or Outcome(self.clock.now_ms(), 0, 200)

    def hold_reads(self) -> tuple[asyncio.Event, asyncio.Event]:
        """What the disk says is held back until the second is set; the first says that something is."""
        due, reading, go_on = self.store.due, asyncio.Event(), asyncio.Event()

        async def slow(*arguments: Any) -> DueBatch:
            batch = await due(*arguments)
            reading.set()
            await go_on.wait()
            return batch

        self.store.due = slow  # type: ignore[method-assign]
        return reading, go_on

    def hold_settlements(self) -> tuple[asyncio.Event, asyncio.Event]:
        """No settlement reaches the store until the second is set; the first says that one is on its way."""
        settle, settling, go_on = self.store.settle, asyncio.Event(), asyncio.Event()

        async def slow(settlement: Settlement) -> None:
            settling.set()
            await go_on.wait()
            await settle(settlement)

        self.store.settle = slow  # type: ignore[method-assign]
        return settling, go_on

    def warm(self) -> None:
        """Every endpoint has shown what it can take: slow start is over."""
        for lane in self.dispatcher.lanes:
            while lane.gate.pace.limit < lane.gate.pace.most:
                lane.gate.pace.succeeded()

    async def quiet(self) -> None:
        """Until nothing is under way: no attempt, no read, no settlement."""
        while self.dispatcher._tasks:
            await asyncio.wait(self.dispatcher._tasks)

    async def run_dry(self) -> None:
        """Let time pass, alarm by alarm, until no alarm is set any more."""
        await self.quiet()
        while self.clock.advance_to_next_timer():
            await self.quiet()

    def failing(self, status: int = 500, **fields: Any) -> Outcome:
        return Outcome(self.clock.now_ms(), 0, status, "status", **fields)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.unlock(SEAL)
    made = World(store)
    yield made
    await made.dispatcher.stop(0)
    await store.close()
    assert made.faults == []

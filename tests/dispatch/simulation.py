"""Days of deliveries in seconds: the real dispatcher and the real store, a clock that jumps, merchants of all kinds.

Everything is drawn from one seed: what is asked for each endpoint, how its merchant behaves and when, what is sent. The
history of all attempts is then held against the promises (`violations`).
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.dispatch.conftest import NoMeter
from tests.fake_clock import FakeClock
from tests.making import SEAL, event, spec
from webhookd.core.delivery import DeliveryKey, Due, Outcome
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.identifier import KeyMint
from webhookd.core.ledger import Fact
from webhookd.core.rate_limit import RateLimit
from webhookd.core.retry import RetryPolicy
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.notice import Notice
from webhookd.store.protocol import Filter
from webhookd.store.sqlite import SqliteStore

T = TypeVar("T")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ALL_IN_FLIGHT = 64
SCHEDULES = ((0, 5_000, 5 * MINUTE, HOUR, 6 * HOUR), (0, 1_000), (0, *[MINUTE] * 9))
DISPUTE = Fact(kind="dispute", id="dp_1", status="open")


class Merchant:
    """How one endpoint answers: how fast, how reliably, and when not at all."""

    def __init__(self, dice: random.Random, began: int) -> None:
        self._dice = dice
        self.latency_ms = dice.choice([0, 5, 50, 2_000])
        self.failing = dice.choice([0, 0, 0, 0.1, 0.5])
        self.down: list[tuple[int, int]] = []
        kind = dice.random()
        if kind < 0.1:
            self.down = [(began, began + 30 * DAY)]
        elif kind < 0.3:
            at = began + dice.randrange(DAY)
            self.down = [(at, at + dice.choice([MINUTE, HOUR, 12 * HOUR, 2 * DAY]))]

    def answer(self, now_ms: int) -> tuple[int, int | None]:
        """Status and Retry-After."""
        if any(begin <= now_ms < end for begin, end in self.down):
            return 503, self._dice.choice([None, None, 30_000])
        if self._dice.random() < self.failing:
            return self._dice.choice([500, 400, 429, 502]), None
        return 200, None


class Made(NamedTuple):
    """One attempt."""

    started_at: int
    ended_at: int | None
    """None: it was cut by a crash."""
    endpoint: str
    key: DeliveryKey
    number: int
    status: int
    retry_after_ms: int | None
    urgent: bool


class Simulation:
    def __init__(self, directory: Path, seed: int, endpoints: int) -> None:
        self.dice = random.Random(seed)
        self.clock = FakeClock()
        self.began = self.clock.now_ms()
        self._groups = max(7, endpoints // 10)
        self.specs = {each.name: each for each in map(self._spec, range(endpoints))}
        self.merchants = {name: Merchant(self.dice, self.began) for name in self.specs}
        self.store = SqliteStore(directory / "webhookd.db")
        self.made: list[Made] = []
        self.committed_at: dict[int, int] = {}
        """When each event was, by its key."""
        self.in_flight_max = 0
        self.crashes: list[int] = []
        self._mint = KeyMint()
        self._working = 0
        """Calls that the store has not answered yet."""
        self._answered = asyncio.Event()
        self.faults: list[Any] = []

    def _spec(self, number: int) -> EndpointSpec:
        return spec(
            f"shop{number}",
            events=(f"type{number % self._groups}", f"only{number}"),
            max_in_flight=self.dice.choice([1, 2, 8]),
            rate_limit=self.dice.choice([None, None, None, RateLimit(2, 1_000), RateLimit(30, MINUTE)]),
            ordering=self.dice.choice(["none", "none", "payment"]),
            retry=RetryPolicy(self.dice.choice(SCHEDULES)),
            disable_after_ms=self.dice.choice([DAY, 5 * DAY, None]),
        )

    # --- Time

    async def run(self, events: int, crashes: int) -> None:
        """Send so many events over two days, crash so often meanwhile, and go on until nothing is left to wait for."""
        await self.store.open()
        await self.store.unlock(SEAL)
        self._watch_store()
        await self._start()
        happenings: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (self.began + self.dice.randrange(2 * DAY), self._send) for _ in range(events)
        ]
        burst_at = self.began + self.dice.randrange(DAY)
        happenings += [(burst_at, self._send) for _ in range(events)]
        happenings += [(self.began + self.dice.randrange(2 * DAY), self._crash) for _ in range(crashes)]
        for at, happens in sorted(happenings, key=lambda each: each[0]):
            await self._advance_to(at)
            await happens()
        await self._advance_to(self.began + 6 * DAY)

    async def _advance_to(self, at: int) -> None:
        await self._idle()
        while (next_at := self.clock.next_timer_at()) is not None and next_at <= at:
            self.clock.advance_to_next_timer()
            await self._idle()
        if self.clock.now_ms() < at:
            self.clock.call_later((at - self.clock.now_ms()) / 1_000, lambda: None)
            self.clock.advance_to_next_timer()

    async def _idle(self) -> None:
        """Until nothing can happen before time passes: the store has answered all, and the loop has nothing to do."""
        quiet = 0
        while quiet < 4:
            if self._working:
                quiet = 0
                self._answered.clear()
                await self._answered.wait()
            await asyncio.sleep(0)
            quiet += 1

    def _watch_store(self) -> None:
        def watched(work: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
            async def call(*arguments: Any) -> T:
                self._working += 1
                try:
                    return await work(*arguments)
                finally:
                    self._working -= 1
                    self._answered.set()

            return call

        for name in ("due", "settle", "append"):
            setattr(self.store, name, watched(getattr(self.store, name)))

    # --- What happens

    async def _start(self) -> None:
        self.dispatcher = Dispatcher(
            self.store,
            self._attempt,
            self.clock,
            NoMeter(),
            max_in_flight=ALL_IN_FLIGHT,
            failed=lambda *fault: self.faults.append(fault),
            notice=Notice(self.clock, self._mint, lambda: 7),
            dice=lambda: self.dice.uniform(-1, 1),
        )
        self.store.announce(self.dispatcher.offer)
        self.dispatcher.serve(await self.store.adopt(list(self.specs.values()), self.clock.now_ms()))

    async def _crash(self) -> None:
        """The process is gone, with all it knew; what was under way is cut."""
        self.crashes.append(self.clock.now_ms())
        await self.dispatcher.stop(0)
        await self._start()

    async def _send(self) -> None:
        urgent = self.dice.random() < 0.1
        number = self.dice.randrange(len(self.specs))
        sent = event(
            key=self._mint.next(self.clock.now_ms()),
            type=self.dice.choice([f"type{number % self._groups}", f"only{number}"]),
            received_at=self.clock.now_ms(),
            payment_id=self.dice.choice([None, f"pi_{self.dice.randrange(20)}"]),
            fact=DISPUTE if urgent else None,
        )
        await self.store.append(sent)
        self.committed_at[sent.key] = self.clock.now_ms()

    async def _attempt(self, endpoint: Endpoint, due: Due) -> Outcome:
        name, started_at = endpoint.spec.name, self.clock.now_ms()
        merchant = self.merchants[name]
        status, retry_after_ms = merchant.answer(started_at)
        ended_at = None
        self.in_flight_max = max(self.in_flight_max, self.dispatcher.in_flight)
        try:
            if merchant.latency_ms:
                await self.clock.sleep(merchant.latency_ms / 1_000)
            ended_at = self.clock.now_ms()
        finally:
            urgent = due.priority == 0
            number = due.attempts + 1
            self.made.append(Made(started_at, ended_at, name, due.key, number, status, retry_after_ms, urgent))
        error = None if status == 200 else "status"
        return Outcome(started_at, merchant.latency_ms, status, error, b"", retry_after_ms)

    # --- What was promised

    async def violations(self) -> list[str]:
        found = [f"a fault of the dispatcher: {fault}" for fault in self.faults]
        if self.in_flight_max > ALL_IN_FLIGHT:
            found.append(f"{self.in_flight_max} under way in all")
        by_delivery: defaultdict[DeliveryKey, list[Made]] = defaultdict(list)
        by_endpoint: defaultdict[str, list[Made]] = defaultdict(list)
        for each in sorted(self.made, key=lambda made: made.started_at):
            by_delivery[each.key].append(each)
            by_endpoint[each.endpoint].append(each)
        for key, attempts in by_delivery.items():
            found += [f"{key.id}: {what}" for what in self._of_delivery(attempts)]
        for name, attempts in by_endpoint.items():
            found += [f"{name}: {what}" for what in self._of_endpoint(self.specs[name], attempts)]
        return found + await self._forgotten()

    def _of_delivery(self, attempts: list[Made]) -> list[str]:
        found = []
        retry = self.specs[attempts[0].endpoint].retry
        whole = [each for each in attempts if each.ended_at is not None]
        if [each.number for each in whole] != list(range(1, len(whole) + 1)):
            found.append(f"numbered {[each.number for each in whole]}")
        if len(whole) > len(retry.waits_ms):
            found.append(f"{len(whole)} attempts of {len(retry.waits_ms)}")
        for before, after in pairwise(whole):
            assert before.ended_at is not None
            wait = after.started_at - before.ended_at
            least = max(retry.waits_ms[before.number] * (1 - retry.jitter), before.retry_after_ms or 0)
            if wait < int(least):
                found.append(f"attempt {after.number} after {wait} ms, not {least}")
        for before, after in pairwise(attempts):
            if before.ended_at is not None and after.started_at < before.ended_at:
                found.append("two at a time")
        if any(each.status == 200 and each.ended_at is not None for each in attempts[:-1]):
            found.append("sent again after success")
        return found

    def _of_endpoint(self, asked: EndpointSpec, attempts: list[Made]) -> list[str]:
        found = []
        changes = [(each.started_at, 1) for each in attempts if each.ended_at not in (None, each.started_at)]
        changes += [(each.ended_at, -1) for each in attempts if each.ended_at not in (None, each.started_at)]  # type: ignore[misc]
        under_way = most = 0
        for _, change in sorted(changes):
            under_way += change
            most = max(most, under_way)
        if most > asked.max_in_flight:
            found.append(f"{most} under way of {asked.max_in_flight}")
        if (rate := asked.rate_limit) is not None:
            for first, beyond in zip(attempts, attempts[rate.count :], strict=False):
                if beyond.started_at - first.started_at < rate.per_ms and not self._crashed_between(first, beyond):
                    found.append(f"more than {rate} from {first.started_at} on")
        if asked.ordering == "none":
            found += self._late_disputes(attempts)
        return found

    def _crashed_between(self, first: Made, last: Made) -> bool:
        """A restart forgets the window of a rate."""
        return any(first.started_at <= at <= last.started_at for at in self.crashes)

    def _late_disputes(self, attempts: list[Made]) -> list[str]:
        found = []
        ordinary = [each.started_at for each in attempts if not each.urgent]
        for each in attempts:
            if each.urgent and each.number == 1:
                since = self.committed_at[each.key.event]
                overtaking = sum(since < at < each.started_at for at in ordinary)
                if overtaking:
                    found.append(f"a dispute waited for {overtaking} ordinary attempts")
        return found

    async def _forgotten(self) -> list[str]:
        """What is pending at the end although nothing keeps it."""
        standing = {name: await self.store.endpoint(name) for name in self.specs}
        found = []
        before = None
        while rows := (await self.store.deliveries(Filter(before=before), 500)).rows:
            before = rows[-1].event, rows[-1].endpoint
            for row in rows:
                endpoint = standing[row.endpoint_name]
                assert endpoint is not None
                if row.state == "pending" and endpoint.state == "active" and endpoint.health.retry_at is None:
                    found.append(f"{row.endpoint_name}: pending since {row.created_at}, due at {row.due_at}")
                if row.state == "dead" and row.attempts < len(self.specs[row.endpoint_name].retry.waits_ms):
                    found.append(f"{row.endpoint_name}: dead after {row.attempts}")
        return found

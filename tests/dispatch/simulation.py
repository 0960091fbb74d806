"""Days of deliveries in seconds: the real dispatcher and a real store, a clock that jumps, merchants of all kinds.

Everything follows from one seed: what is asked for each endpoint, how its merchant behaves and when, what is sent, what
the store has to bear, when the process crashes and what people do. The histories are judged by `promises`.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from tests.dispatch.conftest import NoMeter
from tests.dispatch.simulated_merchants import DAY, HOUR, MINUTE, WELL, Made, Merchant
from tests.dispatch.simulated_trouble import TroubledStore
from tests.fake_clock import FakeClock
from tests.making import event, spec
from tests.store.site import Site, Store
from webhookd.core.delivery import DeliveryKey, Due, Outcome
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.event import Event
from webhookd.core.identifier import KeyMint
from webhookd.core.ledger import Fact
from webhookd.core.rate_limit import RateLimit
from webhookd.core.retry import RetryPolicy
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.notice import Notice
from webhookd.store.protocol.cancels import OverError
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.history import DeliveryRow, Filter
from webhookd.store.protocol.replays import Selection

T = TypeVar("T")
ALL_IN_FLIGHT = 64
SCHEDULES = ((0, 5_000, 5 * MINUTE, HOUR, 6 * HOUR), (0, 1_000), (0, *[MINUTE] * 9))
DISPUTE = Fact(kind="dispute", id="dp_1", status="open")
OPS = "ops"
"""The endpoint that hears what webhookd itself has to say; its merchant is always well."""


class Simulation:
    """What happened is in `made` and below it; places are places in `made`, times are of the steady clock."""

    def __init__(self, site: Site, seed: object, endpoints: int) -> None:
        self.dice = random.Random(f"{seed}")
        self.clock = FakeClock()
        self._site = site
        self._groups = max(7, endpoints // 10)
        self.specs = {each.name: each for each in map(self._spec, range(endpoints))}
        self.merchants = {name: Merchant(self.dice) for name in self.specs}
        self.specs[OPS] = spec(OPS, events=("webhookd.*",), disable_after_ms=None)
        self.made: list[Made] = []
        self.committed_ms: dict[int, float] = {}
        """When each event was, by its key."""
        self.crashes_ms: list[float] = []
        self.crashes_left = self.replays_left = 0
        self.clock_set_ms: list[float] = []
        self.unavailable: list[tuple[float, float]] = []
        self.cancelled: list[tuple[int, DeliveryKey]] = []
        self.replayed: dict[DeliveryKey, list[int]] = {}
        self.stood_still: defaultdict[str, list[list[int]]] = defaultdict(list)
        """From which place to which an endpoint was paused by a person."""
        self.in_flight_max = 0
        self.faults: list[Any] = []
        self._mint = KeyMint()
        self._is_running = False
        self._happening: list[Callable[[], Awaitable[object]]] = []
        self.store: Store
        self.troubled: TroubledStore
        self.dispatcher: Dispatcher

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

    @property
    def steady_ms(self) -> float:
        return self.clock.monotonic() * 1_000

    async def run(
        self, events: int, *, crashes: int = 0, troubles: int = 0, people: int = 0, clock_sets: int = 0
    ) -> None:
        """Send so many events over a day, and as many at once; go on until nothing is left to wait for."""
        self.store = await self._site.open()
        self.unavailable += [(at, at + self.dice.choice([1_000, 10_000, MINUTE])) for at in self._times(troubles)]
        [burst_at] = self._times(1)
        if troubles:
            self.unavailable.append((burst_at + 1, burst_at + MINUTE))
        self.troubled = TroubledStore(
            self.store, self.clock, self.dice, self.unavailable, self._perhaps_crash, self._perhaps_replay
        )
        await self._start()
        self._is_running = True
        self.crashes_left, self.replays_left = crashes, people
        self._plan(self._times(events), self._send)
        self._plan([burst_at], partial(self._burst, events))
        self._plan(self._times(crashes), self._crash)
        for what in (self._cancel, self._replay, self._pause, self._resume_all, self._reload):
            self._plan(self._times(people), what)
        # When windows are full, and when hardly anything else has a lane look to the disk.
        self._plan([burst_at + 50 * number for number in range(2 * people)], self._cancel)
        self._plan([3 * DAY + MINUTE * number for number in range(2 * people)], self._replay)
        self._plan(self._times(clock_sets), self._set_clock)
        self._plan([2 * DAY], self._resume_all)
        while self.steady_ms < 5 * DAY and self.clock.advance_to_next_timer():
            await self.troubled.turnstile.idle()
            while self._happening:
                await self._happening.pop(0)()
                await self.troubled.turnstile.idle()

    async def end(self) -> None:
        if self._is_running:
            self._is_running = False
            await self.dispatcher.stop(0)
            await self.store.close()

    def _times(self, count: int) -> list[float]:
        return [self.dice.randrange(DAY) for _ in range(count)]

    def _plan(self, times: list[float], what: Callable[[], Awaitable[object]]) -> None:
        for at in times:
            self.clock.call_later((at - self.steady_ms) / 1_000, partial(self._happening.append, what))

    async def _set_clock(self) -> None:
        self.clock_set_ms.append(self.steady_ms)
        self.clock.step_wall_clock(self.dice.choice([-1, 1]) * self.dice.choice([5_000, HOUR, 6 * HOUR]))

    # --- The process

    async def _start(self) -> None:
        self.dispatcher = Dispatcher(
            self.troubled,
            self._attempt,
            self.clock,
            NoMeter(),
            max_in_flight=ALL_IN_FLIGHT,
            failed=lambda *fault: self.faults.append(fault),
            notice=Notice(self.clock, self._mint, lambda: 7),
            dice=lambda: self.dice.uniform(-1, 1),
        )
        self.troubled.announce(self.dispatcher.offer)
        await self._reload()

    async def _reload(self) -> None:
        specs = [*self.specs.values()]
        self.dispatcher.serve(await self._ask(lambda: self.store.adopt(specs, self.clock.now_ms())))

    async def _crash(self) -> None:
        """The process is gone, with all it knew; what was under way is cut, and what was not committed is lost."""
        self.crashes_ms.append(self.steady_ms)
        await self.dispatcher.stop(0)
        self.store = self.troubled.store = await self._site.kill(self.store)
        await self._start()

    def _perhaps_crash(self, within_ms: float) -> None:
        """An attempt is over, and not yet settled."""
        if self.crashes_left and self.dice.random() < 0.5:
            self.crashes_left -= 1
            self._plan([self.steady_ms + within_ms / 2], self._crash)

    async def _attempt(self, endpoint: Endpoint, due: Due) -> Outcome:
        began_ms, started_at = self.steady_ms, self.clock.now_ms()
        name, life = endpoint.spec.name, len(self.crashes_ms)
        answer = self.merchants[name].answer(began_ms) if name != OPS else WELL
        self.in_flight_max = max(self.in_flight_max, self.dispatcher.in_flight)
        place = len(self.made)
        self.made.append(Made(life, name, due, answer, began_ms, started_at, None, None))
        if answer.latency_ms:
            await self.clock.sleep(answer.latency_ms / 1_000)
        self.made[place] = self.made[place]._replace(ended_ms=self.steady_ms, ended_at=self.clock.now_ms())
        return Outcome(started_at, answer.latency_ms, answer.status, answer.error, b"", answer.retry_after_ms)

    # --- What providers and people do

    async def _burst(self, events: int) -> None:
        await asyncio.gather(*(self._send() for _ in range(events)))

    async def _send(self) -> None:
        urgent = self.dice.random() < 0.1
        number = self.dice.randrange(len(self.merchants))
        await self._offer(
            event(
                key=0,
                type=self.dice.choice([f"type{number % self._groups}", f"only{number}"]),
                payment_id=self.dice.choice([None, f"pi_{self.dice.randrange(20)}"]),
                fact=DISPUTE if urgent else None,
            )
        )

    async def _offer(self, sent: Event) -> None:
        """Who is not told that it is taken sends it again."""
        now_ms = self.clock.now_ms()
        received = replace(sent, key=self._mint.next(now_ms), received_at=now_ms)
        self.committed_ms[received.key] = self.steady_ms
        try:
            await self.troubled.append(received)
        except StoreUnavailableError:
            self._plan([self.steady_ms + MINUTE], partial(self._offer, sent))

    async def _cancel(self) -> None:
        """One that is due, if there is any: it may be in a window, or under way."""
        if rows := await self._rows("pending"):
            due = [row for row in rows if row.due_at is not None and row.due_at <= self.clock.now_ms()]
            row = self.dice.choice(due or rows)
            key = DeliveryKey(row.event, row.endpoint)
            try:
                await self._ask(lambda: self.store.cancels.cancel(key, self.clock.now_ms()))
            except OverError:
                return
            self.dispatcher.withdraw(key)
            self.cancelled.append((len(self.made), key))

    def _perhaps_replay(self, key: DeliveryKey) -> None:
        """It is settled, and nobody has heard of that."""
        if self.replays_left and self.dice.random() < 0.2:
            self.replays_left -= 1
            self._plan([self.steady_ms + 100], partial(self._replay_these, [key], Selection((key.id,))))

    async def _replay(self) -> None:
        state = self.dice.choice(["dead", "cancelled", "delivered", "pending"])
        keys = [DeliveryKey(row.event, row.endpoint) for row in await self._rows(state)]
        if not keys or state in ("dead", "cancelled"):
            await self._replay_these(keys, Selection(state=state))  # type: ignore[arg-type]
        else:
            key = self.dice.choice(keys)
            await self._replay_these([key], Selection((key.id,)))

    async def _replay_these(self, keys: list[DeliveryKey], selection: Selection) -> None:
        for key in keys:
            self.replayed.setdefault(key, []).append(len(self.made))
        begun = await self._ask(lambda: self.store.replays.begin(selection, None, self.clock.now_ms()))
        is_over = False
        while not is_over:
            step = await self._ask(lambda: self.store.replays.step(begun.number, 50, self.clock.now_ms()))
            self.dispatcher.look_again(step.endpoints)
            is_over = step.over

    async def _pause(self) -> None:
        name = self.dice.choice([*self.merchants])
        await self._ask(lambda: self.store.set_endpoint_state(name, "paused"))
        self.dispatcher.set_state(name, "paused")
        self.stood_still[name].append([len(self.made)])

    async def _resume_all(self) -> None:
        """Whoever stands still, for whatever reason."""
        for row in await self._ask(lambda: self.store.endpoints(removed=False)):
            if row.state != "active":
                await self._ask(partial(self.store.set_endpoint_state, row.name, "active"))
                for still in self.stood_still[row.name]:
                    if len(still) == 1:
                        still.append(len(self.made))
                self.dispatcher.set_state(row.name, "paused")
                self.dispatcher.set_state(row.name, "active")

    async def _rows(self, state: str) -> list[DeliveryRow]:
        return list((await self._ask(lambda: self.store.deliveries(Filter(state=state), 5_000))).rows)

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        return await self.troubled.turnstile.read(question)

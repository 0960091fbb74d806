"""Sweeps finished history out of the log: so little at a time, and with such rests, that no hook waits for it long."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from webhookd.clock import Clock
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.retention import Extent, Found, Look, Retention, Stays, Tally, Whole

STEP_EVENTS_MAX = 200
STEP_BYTES_MAX = 2**20
"""Of bodies, in one step; a larger one goes alone."""
STEP_PAGES_MAX = 256
SHARE_MIN, SHARE_MAX = 0.1, 0.5
"""Of the time, that steps take up: at first, and once a sweep has been under way for SLOW_S."""
SLOW_S = 3600.0
REST_S_MIN, REST_S_MAX = 0.002, 2.0
RETRY_S = 0.5
QUEUED_MAX = 16
"""With more writes waiting for a commit a step waits too, but not for longer than CROWDED_S_MAX."""
CROWDED_S_MAX = 1.0
KEPT_SHARE = 0.05
"""Of the file, that stays free for what comes."""
T = TypeVar("T")


class Meter(Protocol):
    """What is counted of it."""

    def pruned(self, what: str, rows: int) -> None: ...


class Stride:
    """How much goes in a step: it grows and shrinks so that a step takes so many seconds."""

    def __init__(self, most: int, step_s: float) -> None:
        self._most = most
        self._step_s = step_s
        self.now = max(1, most // 16)

    def took(self, seconds: float, *, was_full: bool) -> None:
        """What a step took; one that had less than the stride to do says nothing about a longer one."""
        if seconds > self._step_s:
            self.now = max(1, int(self.now * max(0.25, self._step_s / seconds)))
        elif was_full and seconds < self._step_s / 2:
            self.now = min(self._most, self.now * 2)


class Sweep(msgspec.Struct):
    """How far one sweep is, and what it found."""

    extent: Extent
    is_dry: bool = False
    """Whether it only counts what would go."""
    begun_at: float = 0.0
    """By the clock that never steps back."""
    first: int | None = None
    """Where the log begins, and up to where it has been looked at: keys."""
    then: int = 0
    apart_to: int = 0
    """Up to this key what goes goes event by event."""
    tallies: dict[str, Tally] = msgspec.field(default_factory=dict)
    """What went, or would go, by provider."""
    stay: dict[Stays, int] = msgspec.field(default_factory=dict)
    """Events that stay, by reason."""
    given_back: int = 0
    """Bytes that the file has become shorter by."""
    is_stopped: bool = False
    """Set to have it end after the step that is under way."""

    def add(self, provider: str, tally: Tally) -> None:
        self.tallies.setdefault(provider, Tally()).add(tally)

    @property
    def total(self) -> Tally:
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total


class Broom:
    """One for all who sweep: their steps take turns. Nothing here is kept over a crash; a new sweep finds the rest."""

    def __init__(self, store: Retention, clock: Clock, meter: Meter) -> None:
        self._store = store
        self._clock = clock
        self._meter = meter
        self._turn = asyncio.Lock()
        most = (STEP_EVENTS_MAX, STEP_EVENTS_MAX, STEP_EVENTS_MAX, STEP_PAGES_MAX)
        self._events, self._bodies, self._forgotten, self._pages = (Stride(each, store.step_s) for each in most)

    async def sweep(self, sweep: Sweep) -> None:
        """Take out what is finished, or count it. Raises StoreBrokenError, and whatever a mistake of ours is.

        Of a store that says no it asks again, until it is stopped; then it raises StoreUnavailableError.
        """
        sweep.begun_at = self._clock.monotonic()
        sweep.then = sweep.extent.above
        while not sweep.is_stopped:
            look = await self._looked(sweep)
            if look.whole is not None:
                await self._take_whole(sweep, look, look.whole)
                continue
            for each in look.found:
                if each.stays is not None:
                    sweep.stay[each.stays] = sweep.stay.get(each.stays, 0) + 1
                elif sweep.is_dry:
                    sweep.add(each.provider, Tally(1, each.deliveries, each.attempts, each.size))
            if not sweep.is_dry:
                await self._take(sweep, [each for each in look.found if each.stays is None])
            if sweep.first is None:
                sweep.first = look.found[0].key if look.found else look.then
            if not sweep.is_stopped:
                sweep.then = look.then
            if look.over:
                return

    async def forget(self, below: int, sweep: Sweep) -> None:
        """Forget what is past and says nothing of money, below this key."""
        while not sweep.is_stopped:
            limit = self._forgotten.now
            taken = await self._step(sweep, lambda: self._store.forget(below, limit))  # noqa: B023 - called at once
            if not taken.tallies:
                return
            self._forgotten.took(taken.writer_s, was_full=True)
            self._meter.pruned("past", sum(tally.events for tally in taken.tallies.values()))

    async def forget_trail(self, before_ms: int, sweep: Sweep) -> None:
        """The audit trail from before that time."""
        while not sweep.is_stopped:
            if not (rows := await self._step(sweep, lambda: self._store.forget_trail(before_ms, STEP_EVENTS_MAX))):
                return
            self._meter.pruned("audit", rows)

    async def give_back(self, sweep: Sweep) -> None:
        """Shorten the file by what is free in it."""
        while not sweep.is_stopped:
            pages = self._pages.now
            freed = await self._step(sweep, lambda: self._store.give_back(pages, KEPT_SHARE))  # noqa: B023
            if freed.pages == 0:
                return
            sweep.given_back += freed.pages * freed.page_bytes
            self._pages.took(freed.writer_s, was_full=freed.left > 0)

    async def _looked(self, sweep: Sweep) -> Look:
        began = self._clock.monotonic()
        whole = not sweep.is_dry and sweep.then >= sweep.apart_to
        look = await self._patiently(
            sweep, lambda: self._store.look(sweep.extent, sweep.then, counted=sweep.is_dry, whole=whole)
        )
        await self._clock.sleep(max(REST_S_MIN, self._clock.monotonic() - began))  # others read, too
        return look

    async def _take(self, sweep: Sweep, going: Sequence[Found]) -> None:
        stride = self._bodies if sweep.extent.bodies_only else self._events
        for keys, is_full in _portions(going, lambda: stride.now):
            if sweep.is_stopped:
                return
            taken = await self._step(sweep, lambda: self._store.take(sweep.extent, keys, self._clock.now_ms()))  # noqa: B023
            stride.took(taken.writer_s, was_full=is_full)
            sweep.then = keys[-1]
            self._count(sweep, taken.tallies)

    async def _take_whole(self, sweep: Sweep, look: Look, whole: Whole) -> None:
        if sweep.first is None:
            sweep.first = whole.first
        while not sweep.is_stopped:
            now_ms = self._clock.now_ms()
            step = await self._step(sweep, lambda: self._store.take_whole(sweep.extent, whole, now_ms))  # noqa: B023
            if step.state == "under way":
                continue
            if step.state == "gone":
                self._count(sweep, step.tallies)
                sweep.given_back += step.freed_bytes
            waits = step.state == "not now" and sweep.extent.may_wait and whole.last == look.then
            if step.state == "gone" or waits:
                sweep.then = look.then
            else:
                sweep.apart_to = whole.last
            return

    def _count(self, sweep: Sweep, tallies: Mapping[str, Tally]) -> None:
        for provider, tally in tallies.items():
            sweep.add(provider, tally)
            if sweep.extent.bodies_only:
                self._meter.pruned("bodies", tally.events)
            else:
                for what in ("events", "deliveries", "attempts"):
                    self._meter.pruned(what, getattr(tally, what))

    async def _step(self, sweep: Sweep, write: Callable[[], Awaitable[T]]) -> T:
        """One write, in turn, and the rest that it costs."""
        async with self._turn:
            await self._uncrowded()
            began = self._clock.monotonic()
            done = await self._patiently(sweep, write)
            now = self._clock.monotonic()
            slow = min(1.0, (now - sweep.begun_at) / SLOW_S)
            share = SHARE_MIN + slow * (SHARE_MAX - SHARE_MIN)
            rest_s = (now - began) * (1 / share - 1)
            await self._clock.sleep(min(max(REST_S_MIN, rest_s), REST_S_MAX))
        return done

    async def _uncrowded(self) -> None:
        began = self._clock.monotonic()
        while self._store.queued > QUEUED_MAX and self._clock.monotonic() - began < CROWDED_S_MAX:
            await self._clock.sleep(REST_S_MIN)

    async def _patiently(self, sweep: Sweep, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask()
            except StoreUnavailableError:
                if sweep.is_stopped:
                    raise
                await self._clock.sleep(RETRY_S)


def _portions(going: Sequence[Found], stride: Callable[[], int]) -> Iterator[tuple[list[int], bool]]:
    """Keys that go together, and whether there are as many as may."""
    keys: list[int] = []
    size = 0
    for each in going:
        if keys and (len(keys) >= stride() or size + each.size > STEP_BYTES_MAX):
            yield keys, len(keys) >= stride()
            keys, size = [], 0
        keys.append(each.key)
        size += each.size
    if keys:
        yield keys, len(keys) >= stride()

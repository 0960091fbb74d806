"""How fast it goes: what was counted, looked at once a second, and made into the minutes that charts are drawn of.

A look takes some numbers that are there, however many endpoints there are; what became of each is looked at once a
minute. The minutes of the last day are on disk as well: a restart loses what was counted of the minute that was
running.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec
import structlog

from webhookd.core.minute import KEPT, Minute, together
from webhookd.observe.hour import ENDPOINT_MINUTES, Hour
from webhookd.observe.tallies import Counts, quantile
from webhookd.store.protocol.minutes import Minutes

LOOK_S = 1.0
LOOKS_MAX = 301
"""Five minutes of looks, and the one before."""
MINUTE_MS = 60_000
_UNKEPT_MAX = 60
_log = structlog.get_logger("webhookd.pulse")


class Spread(Protocol):
    @property
    def bounds(self) -> Sequence[float]: ...

    @property
    def counts(self) -> Counts: ...


class Counted(Protocol):
    """What is counted, since the start. `observe.metrics.Metrics`."""

    accepted: int
    duplicates: int
    refused: int
    delivered_count: int
    failed: int
    died: int
    commits: int

    @property
    def ack(self) -> Spread: ...

    @property
    def to_delivered(self) -> Spread: ...

    @property
    def tried(self) -> MutableMapping[str, list[int]]: ...


class Totals(NamedTuple):
    """Counts since the start; or of a while, where one was taken from the other."""

    accepted: int
    duplicates: int
    refused: int
    delivered: int
    failed: int
    died: int
    ack: Counts
    delivery: Counts

    def since(self, earlier: "Totals") -> "Totals":
        return Totals(
            self.accepted - earlier.accepted,
            self.duplicates - earlier.duplicates,
            self.refused - earlier.refused,
            self.delivered - earlier.delivered,
            self.failed - earlier.failed,
            self.died - earlier.died,
            _less(self.ack, earlier.ack),
            _less(self.delivery, earlier.delivery),
        )


class Rates(NamedTuple):
    """How fast it goes now. Percentiles are in milliseconds, and None when there was nothing to measure."""

    accepted_per_s: float
    delivered_per_s: float
    success_rate: float | None
    """Of the attempts of the last five minutes, from 0 to 1."""
    ack_p50_ms: float | None
    """Of the last minute, as are the others."""
    ack_p99_ms: float | None
    delivery_p50_ms: float | None
    delivery_p99_ms: float | None


class Pulse:
    """`look` and `keep` are called every LOOK_S; only `keep` waits for the disk.

    `backlog` counts what is pending, `is_served` knows the endpoints in service. What the store raises, `lost`, costs
    the minute its place on disk, and nothing else.
    """

    def __init__(
        self,
        counted: Counted,
        minutes: Minutes,
        backlog: Callable[[], Awaitable[int]],
        is_served: Callable[[str], bool],
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        lost: type[Exception],
    ) -> None:
        self._counted, self._store, self._backlog, self._is_served = counted, minutes, backlog, is_served
        self._now_ms, self._seconds, self._lost = now_ms, seconds, lost
        nothing = self._totals().since(self._totals())  # what is counted by now was counted since the start, too
        self._looks: deque[tuple[float, Totals]] = deque([(seconds(), nothing)], LOOKS_MAX)
        self._number, self._began = now_ms() // MINUTE_MS, nothing
        self._minutes: dict[int, Minute] = {}
        self._unkept: deque[Minute] = deque(maxlen=_UNKEPT_MAX)
        self._is_loaded = False
        self._commits = -1
        self._pending = 0
        self._tried: dict[str, tuple[int, int]] = {}
        self._of_endpoints: dict[str, Hour] = {}

    # --- What there is to see

    def rates(self) -> Rates:
        five_s, minute, five_minutes = (self._last(seconds) for seconds in (5, 60, 300))
        seconds, counts = five_s
        tried = five_minutes[1].delivered + five_minutes[1].failed
        return Rates(
            counts.accepted / seconds,
            counts.delivered / seconds,
            five_minutes[1].delivered / tried if tried else None,
            *self._percentiles(minute[1]),
        )

    def throughput(self) -> tuple[float, float]:
        """Events that came in and deliveries that were made, a second, over the last minute as far as it counted."""
        seconds, counts = self._last(60)
        return counts.accepted / seconds, counts.delivered / seconds

    def minutes(self, count: int) -> Sequence[Minute]:
        """The last so many, oldest first; the last is the one that is running, as far as it has come.

        One in which nothing happened has the backlog of the one before.
        """
        first, made, pending = self._number - count + 1, [], 0
        known = self._minutes | {minute.number: minute for minute in self._unkept}
        for number in sorted(known):
            if number < first:
                pending = known[number].backlog
        for number in range(first, self._number):
            minute = known.get(number) or Minute(number, backlog=pending)
            pending = minute.backlog
            made.append(minute)
        return [*made, self._minute(self._pending)]

    def of_endpoint(self, name: str) -> Sequence[tuple[int, int]]:
        """Attempts that succeeded, and that failed, of the last ENDPOINT_MINUTES minutes, oldest first.

        The last is the minute that is running. Kept in memory only: a restart begins with nothing.
        """
        now = self._number
        hour = self._of_endpoints.get(name)
        known = [(0, 0)] * ENDPOINT_MINUTES if hour is None else hour.until(now)
        if name in self._counted.tried:
            (good, bad), (good_then, bad_then) = self._counted.tried[name], self._tried.get(name, (0, 0))
            known[-1] = (good - good_then, bad - bad_then)
        return known

    # --- The duties

    async def look(self) -> None:
        totals, number = self._totals(), self._now_ms() // MINUTE_MS
        self._looks.append((self._seconds(), totals))
        if number != self._number:
            self._unkept.append(self._minute(self._pending))
            self._see_endpoints()
            self._number, self._began = number, totals

    async def keep(self) -> None:
        """Write down the minutes that are over. Nothing is written for one in which nothing happened."""
        if not self._is_loaded and not await self._load():
            return
        while self._unkept:
            if self._counted.commits != self._commits:  # otherwise what is pending is what it was
                await self._count()
            minute = msgspec.structs.replace(self._unkept.popleft(), backlog=self._pending)
            if (before := self._minutes.get(minute.number)) is not None:  # the clock was set back
                minute = together(minute.number, [before, minute])
            if self._has_something(minute):
                self._remember(minute)
                try:
                    await self._store.keep(minute)
                except self._lost as error:
                    _log.warning("minute_not_kept", reason=str(error)[:200])

    async def _load(self) -> bool:
        try:
            kept = await self._store.all()
        except self._lost:  # the next time
            return False
        self._minutes = {minute.number: minute for minute in kept}
        self._pending = kept[-1].backlog if kept else 0  # to count it now would keep those waiting who come first
        self._is_loaded = True
        return True

    async def _count(self) -> None:
        commits = self._counted.commits
        with suppress(self._lost):
            self._pending = await self._backlog()
            self._commits = commits

    def _has_something(self, minute: Minute) -> bool:
        before = max((each for each in self._minutes if each < minute.number), default=None)
        pending = 0 if before is None else self._minutes[before].backlog
        return minute != Minute(minute.number, backlog=pending)

    def _remember(self, minute: Minute) -> None:
        """Also where the clock was set: at most KEPT of the past, and as many that were thought to be to come."""
        self._minutes[minute.number] = minute
        for number in [each for each in self._minutes if abs(each - minute.number) >= KEPT]:
            del self._minutes[number]

    def _see_endpoints(self) -> None:
        tried = self._counted.tried
        for name in [name for name in tried if not self._is_served(name)]:
            for each in (tried, self._tried, self._of_endpoints):
                each.pop(name, None)
        for name, (good, bad) in tried.items():
            good_then, bad_then = self._tried.get(name, (0, 0))
            if (good, bad) != (good_then, bad_then):
                if (hour := self._of_endpoints.get(name)) is None:
                    hour = self._of_endpoints[name] = Hour(self._number)
                hour.put(self._number, good - good_then, bad - bad_then)
                self._tried[name] = (good, bad)
        first = self._number - ENDPOINT_MINUTES
        for name in [name for name, hour in self._of_endpoints.items() if hour.last < first]:
            del self._of_endpoints[name]

    # --- Counting

    def _totals(self) -> Totals:
        of = self._counted
        numbers = of.accepted, of.duplicates, of.refused, of.delivered_count, of.failed, of.died
        return Totals(*numbers, of.ack.counts, of.to_delivered.counts)

    def _last(self, seconds: float) -> tuple[float, Totals]:
        """What was counted in about the last so many seconds, and how many they really were; at least one."""
        until, totals = self._looks[-1]
        at, then = next(each for each in self._looks if until - each[0] <= seconds + LOOK_S / 2)
        return max(until - at, 1.0), totals.since(then)

    def _minute(self, backlog: int) -> Minute:
        """The one that is running."""
        counts = self._totals().since(self._began)
        return Minute(self._number, *counts[:6], backlog, *self._percentiles(counts))

    def _percentiles(self, counts: Totals) -> Iterator[float | None]:
        for spread, of in ((self._counted.ack, counts.ack), (self._counted.to_delivered, counts.delivery)):
            for share in (0.5, 0.99):
                seconds = quantile(spread.bounds, of, share)
                yield None if seconds is None else round(seconds * 1_000, 3)


def _less(now: Counts, then: Counts) -> Counts:
    return tuple(each - before for each, before in zip(now, then, strict=True))

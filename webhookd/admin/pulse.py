"""`/api/v1/pulse`: how it goes now, how it went in the last hour or day, and which endpoints need somebody."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from heapq import nsmallest
from typing import Literal, NamedTuple, Protocol

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import NotFoundError
from webhookd.admin.endpoint_views import EndpointView, endpoint_view
from webhookd.admin.kept import Kept
from webhookd.admin.ledger_views import Revenue, revenue_view
from webhookd.admin.registry import Registry, Traffic
from webhookd.clock import Clock
from webhookd.core.minute import Minute, folded
from webhookd.core.units import time_text
from webhookd.store.protocol.endpoints import EndpointRow
from webhookd.store.protocol.ledger import RevenueRow

LATE_MS = 15 * 60_000
NEEDY_MAX = 50
REVENUE_EVERY_S = 10.0
DAY_MS = 86_400_000
STEPS = {"hour": (60, 1), "day": (1_440, 10)}
"""How many minutes are told of, and how many of them one point is."""
Need = Literal["settings", "disabled", "open", "dead", "paused", "late"]
"""The settings have to be put right; it was given up (gone, failing); its breaker is open; it has dead deliveries;
somebody paused it; it is behind by LATE_MS."""
_WORST_FIRST: tuple[Need, ...] = ("settings", "disabled", "open", "dead", "paused", "late")


class Now(msgspec.Struct, kw_only=True):
    """Percentiles are in milliseconds, and null where there was nothing to measure."""

    at: str
    ready: bool
    why_not_ready: str | None
    accepted_per_s: float
    """Events that were new, over the last five seconds."""
    delivered_per_s: float
    success_rate: float | None
    """Of the attempts of the last five minutes, from 0 to 1; null: there was none."""
    ack_p50_ms: float | None
    """From a hook to its 200, over the last minute."""
    ack_p99_ms: float | None
    delivery_p50_ms: float | None
    """From a hook to its delivery, earlier attempts included, over the last minute."""
    delivery_p99_ms: float | None
    in_flight: int
    backlog: int
    dead: int
    oldest_pending_at: str | None
    counted_s: float | None
    """How many seconds ago backlog, dead and the oldest were counted; null: not yet since the start."""
    captured_today: Sequence[Revenue] | None
    """Since midnight UTC, by currency; at most REVENUE_EVERY_S old, or older where there is very much of it, or where
    the store does not answer. Null: not counted yet today."""


class Point(msgspec.Struct, kw_only=True):
    at: str
    """When it began."""
    accepted: int
    duplicates: int
    refused: int
    delivered: int
    failed: int
    """Attempts."""
    died: int
    backlog: int
    """At its end."""
    ack_p50_ms: float | None
    """Of several minutes: the middle of theirs, and of p99 the highest."""
    ack_p99_ms: float | None
    delivery_p50_ms: float | None
    delivery_p99_ms: float | None


class Needy(msgspec.Struct):
    why: Need
    """The first that is so."""
    endpoint: EndpointView


class PulseView(msgspec.Struct):
    now: Now
    step_s: int
    """How long a point is."""
    points: Sequence[Point]
    """Oldest first; the last one is running. What happened while no daemon ran is not known, and counts as nothing."""
    needy: Sequence[Needy]
    """Endpoints that need somebody, those worst off first; at most NEEDY_MAX."""
    more_needy: int
    """How many are not among them."""


class Tried(msgspec.Struct):
    at: str
    succeeded: int
    failed: int


class EndpointPulse(msgspec.Struct):
    minutes: Sequence[Tried]
    """Attempts in each minute of the last hour, oldest first; the last is running. A restart begins with nothing."""


class PulseQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    over: Literal["hour", "day"] = "hour"
    """An hour has a point for each minute, a day one for every ten."""


class Rates(Protocol):
    """Fits `Now`, as far as it goes."""

    @property
    def accepted_per_s(self) -> float: ...
    @property
    def delivered_per_s(self) -> float: ...
    @property
    def success_rate(self) -> float | None: ...
    @property
    def ack_p50_ms(self) -> float | None: ...
    @property
    def ack_p99_ms(self) -> float | None: ...
    @property
    def delivery_p50_ms(self) -> float | None: ...
    @property
    def delivery_p99_ms(self) -> float | None: ...


class Pulse(Protocol):
    """What is known of the last seconds and minutes, from memory."""

    def rates(self) -> Rates: ...

    def throughput(self) -> tuple[float, float]: ...

    def minutes(self, count: int) -> Sequence[Minute]: ...

    def of_endpoint(self, name: str) -> Sequence[tuple[int, int]]: ...


class Readiness(Protocol):
    def unready(self) -> str | None: ...


class Counted(NamedTuple):
    rows: Sequence[EndpointRow]
    at_s: float
    """When they were counted, by the clock that never steps back: to ask for a count may bring an older one."""


class Day(NamedTuple):
    began_at: int
    """Midnight UTC, Unix milliseconds."""
    captured: Sequence[Revenue]


class PulseApi:
    """`count` counts what the endpoints are owed, `revenue` what was captured between two times, Unix milliseconds."""

    def __init__(
        self,
        pulse: Pulse,
        count: Callable[[], Awaitable[Counted | None]],
        revenue: Callable[[int, int], Awaitable[Sequence[RevenueRow]]],
        clock: Clock,
        readiness: Readiness,
        traffic: Traffic,
        registry: Registry,
    ) -> None:
        self._pulse, self._revenue, self._clock = pulse, revenue, clock
        self._readiness, self._traffic, self._registry = readiness, traffic, registry
        self._count = count
        self._counted: Kept[Counted | None] = Kept(self._count_anew, clock.monotonic, None)
        self.changes = 0
        """Grows when a count found another thing than the one before: what takes long may see a commit late."""
        self._today: Kept[Day | None] = Kept(self._since_midnight, clock.monotonic, None, REVENUE_EVERY_S)

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/pulse",
                self.show,
                "How it goes now, and how it went",
                PulseView,
                query=PulseQuery,
                detail="Made from memory. What takes long to count is as old as `counted_s` says.",
            ),
            Operation(
                "GET",
                "/api/v1/endpoints/{name}/pulse",
                self.of_endpoint,
                "How attempts to an endpoint went",
                EndpointPulse,
                problems=[404],
            ),
        ]

    async def show(self, asked: Asked[PulseQuery, Nothing]) -> PulseView:
        count, size = STEPS[asked.query.over]
        now = await self.now()
        needy = [] if self._counted.last is None else self._needy(self._counted.last.rows)
        worst = nsmallest(
            NEEDY_MAX, needy, key=lambda each: (_WORST_FIRST.index(each[0]), -each[1].dead, each[1].number)
        )
        return PulseView(
            now=now,
            step_s=60 * size,
            points=[_point(each) for each in folded(self._pulse.minutes(count), size)],
            needy=[Needy(why, self._view(row)) for why, row in worst],
            more_needy=len(needy) - len(worst),
        )

    async def now(self) -> Now:
        counted, today = await asyncio.gather(self._counted.value(), self._today.value())
        rows = [] if counted is None else counted.rows
        rates, why, now_ms = self._pulse.rates(), self._readiness.unready(), self._clock.now_ms()
        return Now(
            at=time_text(now_ms),
            ready=why is None,
            why_not_ready=why,
            accepted_per_s=rates.accepted_per_s,
            delivered_per_s=rates.delivered_per_s,
            success_rate=rates.success_rate,
            ack_p50_ms=rates.ack_p50_ms,
            ack_p99_ms=rates.ack_p99_ms,
            delivery_p50_ms=rates.delivery_p50_ms,
            delivery_p99_ms=rates.delivery_p99_ms,
            in_flight=self._traffic.in_flight,
            backlog=sum(row.pending for row in rows),
            dead=sum(row.dead for row in rows),
            oldest_pending_at=time_text(
                min((row.oldest_pending_at for row in rows if row.oldest_pending_at is not None), default=None)
            ),
            counted_s=None if counted is None else self._clock.monotonic() - counted.at_s,
            captured_today=None if today is None or today.began_at != _midnight(now_ms) else today.captured,
        )

    async def of_endpoint(self, asked: Asked[Nothing, Nothing]) -> EndpointPulse:
        name = asked.path["name"]
        if self._registry.get(name) is None and name not in self._registry.mistakes:
            raise NotFoundError
        found = self._pulse.of_endpoint(name)
        first = self._clock.now_ms() // 60_000 - len(found) + 1
        return EndpointPulse([Tried(time_text((first + place) * 60_000), *each) for place, each in enumerate(found)])

    async def _count_anew(self) -> Counted | None:
        counted, last = await self._count(), self._counted.last
        self.changes += counted is not None and (last is None or counted.rows != last.rows)
        return counted

    async def _since_midnight(self) -> Day:
        now_ms = self._clock.now_ms()
        began_at = _midnight(now_ms)
        return Day(began_at, revenue_view(await self._revenue(began_at, now_ms + 1), None))

    def _needy(self, rows: Sequence[EndpointRow]) -> list[tuple[Need, EndpointRow]]:
        late = self._clock.now_ms() - LATE_MS
        return [(why, row) for row in rows if (why := self._need(row, late)) is not None]

    def _need(self, row: EndpointRow, late: int) -> Need | None:
        if row.name in self._registry.mistakes:
            return "settings"
        if row.state != "active":
            return row.state
        if row.health.breaker == "open":
            return "open"
        if row.dead:
            return "dead"
        return "late" if (row.oldest_pending_at or late) < late else None

    def _view(self, row: EndpointRow) -> EndpointView:
        return endpoint_view(row, self._traffic.view(row.name), self._registry.mistakes.get(row.name))


def _midnight(now_ms: int) -> int:
    return now_ms - now_ms % DAY_MS


def _point(minute: Minute) -> Point:
    fields = msgspec.structs.asdict(minute)
    return Point(at=time_text(fields.pop("number") * 60_000), **fields)

"""`/api/v1/status` and `/metrics`: is it well, how fast does it go, and what is waiting for whom."""

from collections.abc import Sequence
from heapq import nlargest
from typing import Protocol

import msgspec
from aiohttp import web

from webhookd import __version__
from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.endpoint_views import EndpointView, endpoint_view
from webhookd.admin.registry import Registry, Traffic
from webhookd.clock import Clock
from webhookd.core.units import time_text
from webhookd.store.protocol.endpoints import EndpointRow, Endpoints
from webhookd.store.protocol.history import History

ENDPOINTS_MAX = 100
"""In a status: those that are owed most. The list of endpoints has them all."""


class Numbers(Protocol):
    """What the metrics can say here."""

    @property
    def accepted(self) -> int: ...

    @property
    def delivered_count(self) -> int: ...

    @property
    def commits(self) -> int: ...

    async def text(self, accept: str) -> tuple[bytes, str]:
        """For who accepts this: the metrics, and of which content type they are."""
        ...


class Readiness(Protocol):
    def unready(self) -> str | None: ...


class Throughput(Protocol):
    def throughput(self) -> tuple[float, float]:
        """Events accepted and deliveries made a second, over the last minute."""
        ...


class HistoryAndEndpoints(History, Endpoints, Protocol):
    pass


class Status(msgspec.Struct):
    version: str
    ready: bool
    why_not_ready: str | None
    uptime_s: float
    accepted: int
    """Events taken into the log since the start."""
    delivered: int
    """Deliveries made since the start."""
    accepted_per_s: float
    """Over the last minute, as far as it has been counted."""
    delivered_per_s: float
    in_flight: int
    backlog: int
    dead: int
    unrouted: int
    quarantined: int
    oldest_pending_at: str | None
    held_for_removed: int
    """What endpoints that are not in service are still owed; not in `backlog`."""
    endpoints: list[EndpointView]
    """At most ENDPOINTS_MAX."""
    more_endpoints: int
    """How many are not among them."""


class StatusApi:
    def __init__(
        self,
        store: HistoryAndEndpoints,
        clock: Clock,
        numbers: Numbers,
        pulse: Throughput,
        readiness: Readiness,
        traffic: Traffic,
        registry: Registry,
    ) -> None:
        self._store = store
        self._clock = clock
        self._numbers = numbers
        self._pulse = pulse
        self._readiness = readiness
        self._traffic = traffic
        self._registry = registry
        self._began = clock.monotonic()

    def operations(self) -> Sequence[Operation]:
        return [
            Operation("GET", "/api/v1/status", self.status, "Is it well, how fast does it go, what waits", Status),
            Operation("GET", "/metrics", self.metrics, "For Prometheus", scope="nobody", media="text/plain"),
        ]

    async def status(self, _asked: Asked[Nothing, Nothing]) -> Status:
        every = await self._store.endpoints(removed=True)
        rows = [row for row in every if row.why != "removed"]
        odd = await self._store.odd_events()
        accepted_per_s, delivered_per_s = self._pulse.throughput()
        why = self._readiness.unready()
        most_owed = nlargest(ENDPOINTS_MAX, rows, key=lambda row: (row.pending, row.dead, -row.number))
        return Status(
            version=__version__,
            ready=why is None,
            why_not_ready=why,
            uptime_s=round(self._clock.monotonic() - self._began, 3),
            accepted=self._numbers.accepted,
            delivered=self._numbers.delivered_count,
            accepted_per_s=round(accepted_per_s, 2),
            delivered_per_s=round(delivered_per_s, 2),
            in_flight=self._traffic.in_flight,
            backlog=sum(row.pending for row in rows),
            dead=sum(row.dead for row in rows),
            unrouted=odd.get("unrouted", 0),
            quarantined=odd.get("quarantined", 0),
            oldest_pending_at=time_text(
                min((row.oldest_pending_at for row in rows if row.oldest_pending_at is not None), default=None)
            ),
            held_for_removed=sum(row.pending for row in every) - sum(row.pending for row in rows),
            endpoints=[self._endpoint(row) for row in most_owed],
            more_endpoints=len(rows) - len(most_owed),
        )

    def _endpoint(self, row: EndpointRow) -> EndpointView:
        return endpoint_view(row, self._traffic.view(row.name), self._registry.mistakes.get(row.name))

    async def metrics(self, asked: Asked[Nothing, Nothing]) -> web.Response:
        body, content_type = await self._numbers.text(asked.request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

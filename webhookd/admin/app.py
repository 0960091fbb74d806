"""The API on the admin listener, as far as the commands need it, and /metrics."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
from aiohttp import web

from webhookd import __version__
from webhookd.admin.answers import BusyError, NotFoundError, RefusedError, json_answer, problem_answer
from webhookd.admin.list_query import QueryError, list_filter
from webhookd.admin.token import is_bearer
from webhookd.admin.views import (
    EndpointStatus,
    Page,
    Status,
    cursor_text,
    delivery_view,
    event_view,
    time_text,
)
from webhookd.clock import Clock
from webhookd.core.delivery import DELIVERY_STATES
from webhookd.core.endpoint import EndpointState
from webhookd.core.event import EVENT_STATES
from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_event_id
from webhookd.store.endpoint_protocol import EndpointRow, Endpoints
from webhookd.store.protocol import History, StoreUnavailableError

RATE_WINDOW_S = 60.0
_CSP = "default-src 'none'; frame-ancestors 'none'"
_log = structlog.get_logger("webhookd.admin")


class Numbers(Protocol):
    """What the metrics can say here."""

    accepted: int
    delivered_count: int

    def backlog(self, rows: Any, now_ms: int) -> None: ...

    def text(self) -> bytes: ...


class Readiness(Protocol):
    def unready(self) -> str | None: ...


class Traffic(Protocol):
    """What the dispatcher can say here."""

    @property
    def in_flight(self) -> int: ...

    def in_flight_of(self, name: str) -> int: ...

    def set_state(self, name: str, state: EndpointState) -> None: ...


class HistoryAndEndpoints(History, Endpoints, Protocol):
    pass


class Admin:
    def __init__(
        self,
        store: HistoryAndEndpoints,
        clock: Clock,
        numbers: Numbers,
        readiness: Readiness,
        traffic: Traffic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._numbers = numbers
        self._readiness = readiness
        self._traffic = traffic
        self._began = clock.monotonic()
        self._samples: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/status", self.status),
            web.get("/api/v1/events", self.events),
            web.get("/api/v1/events/{id}", self.event),
            web.get("/api/v1/events/{id}/body", self.body),
            web.get("/api/v1/deliveries", self.deliveries),
            web.get("/api/v1/deliveries/{id}", self.delivery),
            web.post("/api/v1/endpoints/{name}/pause", self.pause),
            web.post("/api/v1/endpoints/{name}/resume", self.resume),
            web.get("/metrics", self.metrics),
        ]

    def sample(self) -> None:
        """Note the counts, so that `status` can say a rate. Called now and then; keeps a minute."""
        now = self._clock.monotonic()
        self._samples.append((now, self._numbers.accepted, self._numbers.delivered_count))
        while len(self._samples) > 2 and now - self._samples[1][0] > RATE_WINDOW_S:
            self._samples.popleft()

    async def status(self, _request: web.Request) -> web.Response:
        self.sample()
        rows = await self._store.endpoints(removed=True)
        odd = await self._store.odd_events()
        (first_at, accepted, delivered), (last_at, accepted_now, delivered_now) = self._samples[0], self._samples[-1]
        seconds = max(last_at - first_at, 1.0)
        why = self._readiness.unready()
        return json_answer(
            Status(
                version=__version__,
                ready=why is None,
                why_not_ready=why,
                uptime_s=round(self._clock.monotonic() - self._began, 3),
                accepted=accepted_now,
                delivered=delivered_now,
                accepted_per_s=round((accepted_now - accepted) / seconds, 2),
                delivered_per_s=round((delivered_now - delivered) / seconds, 2),
                in_flight=self._traffic.in_flight,
                backlog=sum(row.pending for row in rows),
                dead=sum(row.dead for row in rows),
                unrouted=odd.get("unrouted", 0),
                quarantined=odd.get("quarantined", 0),
                oldest_pending_at=time_text(
                    min((row.oldest_pending_at for row in rows if row.oldest_pending_at is not None), default=None)
                ),
                endpoints=[self._endpoint(row) for row in rows],
            )
        )

    def _endpoint(self, row: EndpointRow) -> EndpointStatus:
        return EndpointStatus(
            name=row.name,
            url=row.url,
            state=row.state,
            managed_by=row.managed_by,
            in_flight=self._traffic.in_flight_of(row.name),
            backlog=row.pending,
            dead=row.dead,
            oldest_pending_at=time_text(row.oldest_pending_at),
        )

    async def events(self, request: web.Request) -> web.Response:
        narrowed, limit = list_filter(request.query, {"after"}, EVENT_STATES, cursor_numbers=1)
        rows = await self._store.events(narrowed, limit)
        more = len(rows) == limit and narrowed.after is None
        return json_answer(Page([event_view(row) for row in rows], cursor_text(rows[-1].key) if more else None))

    async def event(self, request: web.Request) -> web.Response:
        key, salt = parse_event_id(request.match_info["id"])
        row = await self._store.event(key, salt)
        if row is None:
            raise NotFoundError
        deliveries = [
            delivery_view(each, await self._store.attempts(each.event, each.endpoint))
            for each in await self._store.deliveries_of(key)
        ]
        return json_answer(event_view(row, deliveries))

    async def body(self, request: web.Request) -> web.Response:
        key, salt = parse_event_id(request.match_info["id"])
        body = await self._store.body(key) if await self._store.event(key, salt) is not None else None
        if body is None:
            raise NotFoundError
        # Hostile bytes: a download, never a page.
        return web.Response(
            body=body,
            content_type="application/octet-stream",
            headers={
                "Content-Disposition": f'attachment; filename="{request.match_info["id"]}.json"',
                "Content-Security-Policy": "sandbox",
            },
        )

    async def deliveries(self, request: web.Request) -> web.Response:
        narrowed, limit = list_filter(request.query, {"endpoint"}, DELIVERY_STATES, cursor_numbers=2)
        rows = await self._store.deliveries(narrowed, limit)
        cursor = cursor_text(rows[-1].event, rows[-1].endpoint) if len(rows) == limit else None
        return json_answer(Page([delivery_view(row) for row in rows], cursor))

    async def delivery(self, request: web.Request) -> web.Response:
        event, endpoint = parse_delivery_id(request.match_info["id"])
        row = await self._store.delivery(event, endpoint)
        if row is None:
            raise NotFoundError
        return json_answer(delivery_view(row, await self._store.attempts(event, endpoint)))

    async def pause(self, request: web.Request) -> web.Response:
        return await self._set_state(request.match_info["name"], "paused")

    async def resume(self, request: web.Request) -> web.Response:
        return await self._set_state(request.match_info["name"], "active")

    async def _set_state(self, name: str, state: Any) -> web.Response:
        if not await self._store.set_endpoint_state(name, state):
            raise NotFoundError
        self._traffic.set_state(name, state)
        row = await self._store.endpoint(name)
        if row is None:
            raise NotFoundError
        return json_answer(self._endpoint(row))

    async def metrics(self, _request: web.Request) -> web.Response:
        self._numbers.backlog(await self._store.endpoints(removed=True), self._clock.now_ms())
        return web.Response(body=self._numbers.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


class Part(Protocol):
    """What answers a part of the API."""

    def routes(self) -> list[web.RouteDef]: ...


def admin_app(token: str, *parts: Part) -> web.Application:
    """Its runner may cancel what only reads when the client leaves; what changes something goes on to its end."""
    changes: set[asyncio.Future[web.StreamResponse]] = set()

    async def to_its_end(handling: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        change = asyncio.ensure_future(handling)
        changes.add(change)
        change.add_done_callback(changes.discard)
        return await asyncio.shield(change)

    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        try:
            if request.path.startswith("/api/") and not is_bearer(request.headers.get("Authorization"), token):
                raise RefusedError(401, "Send Authorization: Bearer with the token in DATA_DIR/admin.token.")
            handling = handler(request)
            response = await (handling if request.method in ("GET", "HEAD") else to_its_end(handling))
        except RefusedError as refused:
            response = problem_answer(refused.status, str(refused))
            response.headers["WWW-Authenticate"] = "Bearer"
        except (NotFoundError, UnknownIdError):
            response = problem_answer(404, "There is nothing with this name or id.")
        except QueryError as error:
            response = problem_answer(422, str(error))
        except StoreUnavailableError:
            response = problem_answer(503, "The store did not answer in time; narrow the list by time, or try again.")
        except BusyError as error:
            response = problem_answer(503, str(error))
            response.headers["Retry-After"] = "1"
        except web.HTTPException as answer:
            response = problem_answer(answer.status, answer.reason)
            if allow := answer.headers.get("Allow"):
                response.headers["Allow"] = allow
        except Exception as error:  # noqa: BLE001 - told as a problem, logged without what was sent
            _log.error("admin_request_failed", kind=type(error).__name__, reason=str(error)[:200])
            response = problem_answer(500, "Something went wrong here; the log says what.")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        response.headers.setdefault("Content-Security-Policy", _CSP)
        return response

    app = web.Application(middlewares=[guard], client_max_size=2**20)
    app.router.add_routes([route for part in parts for route in part.routes()])
    return app

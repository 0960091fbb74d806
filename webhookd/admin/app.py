"""The application on the admin listener: who may ask, what errors become, and the log of events with its deliveries."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
from aiohttp import web

from webhookd.admin.answers import (
    BusyError,
    ConflictError,
    MistakesError,
    NotFoundError,
    RefusedError,
    json_answer,
    mistakes_answer,
    problem_answer,
)
from webhookd.admin.list_query import QueryError, list_filter
from webhookd.admin.operation import Part, route
from webhookd.admin.token import is_bearer
from webhookd.admin.views import Page, cursor_text, delivery_view, event_view
from webhookd.core.delivery import DELIVERY_STATES
from webhookd.core.event import EVENT_STATES
from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_event_id
from webhookd.store.endpoint_protocol import Endpoints
from webhookd.store.protocol import History, StoreUnavailableError

_CSP = "default-src 'none'; frame-ancestors 'none'"
_log = structlog.get_logger("webhookd.admin")


class LogApi:
    def __init__(self, store: History, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/events", self.events),
            web.get("/api/v1/events/{id}", self.event),
            web.get("/api/v1/events/{id}/body", self.body),
            web.get("/api/v1/deliveries", self.deliveries),
            web.get("/api/v1/deliveries/{id}", self.delivery),
        ]

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
        if not rows and (name := narrowed.endpoint) is not None and await self._endpoints.endpoint(name) is None:
            raise QueryError(f'endpoint: there is no endpoint "{name[:64]}"')
        cursor = cursor_text(rows[-1].event, rows[-1].endpoint) if len(rows) == limit else None
        return json_answer(Page([delivery_view(row) for row in rows], cursor))

    async def delivery(self, request: web.Request) -> web.Response:
        event, endpoint = parse_delivery_id(request.match_info["id"])
        row = await self._store.delivery(event, endpoint)
        if row is None:
            raise NotFoundError
        return json_answer(delivery_view(row, await self._store.attempts(event, endpoint)))


class Routed(Protocol):
    """What answers a part of the API, and has its routes still by hand."""

    def routes(self) -> list[web.RouteDef]: ...


def admin_app(token: str, *parts: Part | Routed) -> web.Application:
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
            name = request.match_info.get("name")  # of an endpoint: all else has an id
            what = "nothing with this name or id" if name is None else f'no endpoint "{name[:64]}"'
            response = problem_answer(404, f"There is {what}.")
        except QueryError as error:
            response = problem_answer(422, str(error))
        except MistakesError as error:
            response = mistakes_answer(error)
        except ConflictError as error:
            response = problem_answer(409, str(error))
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
    for part in parts:
        app.router.add_routes(_routes(part))
    return app


def _routes(part: Any) -> list[web.RouteDef]:
    if hasattr(part, "operations"):
        return [route(each) for each in part.operations()]
    routes: list[web.RouteDef] = part.routes()
    return routes

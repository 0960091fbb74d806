"""The application on the admin listener: who may ask, what errors become, and which part answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from webhookd.admin.door.answers import (
    BusyError,
    ConflictError,
    MistakesError,
    NotFoundError,
    RefusedError,
    mistakes_answer,
    problem_answer,
)
from webhookd.admin.door.doorkeeper import Doorkeeper
from webhookd.admin.door.hosts import Hosts
from webhookd.admin.door.openapi import OpenApi
from webhookd.admin.door.operation import Part, operation_of, route
from webhookd.admin.door.recorder import Recorder
from webhookd.core.identifier import UnknownIdError
from webhookd.store.protocol import StoreUnavailableError

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""With every answer that does not say otherwise. There is nothing here for a page to embed, frame, sniff or keep."""
_log = structlog.get_logger("webhookd.admin")


def admin_app(doorkeeper: Doorkeeper, hosts: Hosts, recorder: Recorder, *parts: Part) -> web.Application:
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
            hosts.check(request)
            visitor = None
            operation = operation_of(request)
            # What is not there is told to whoever has a token, of whatever scope.
            if request.path.startswith("/api/") if operation is None else operation.scope != "nobody":
                scope = None if operation is None else operation.scope
                visitor = await doorkeeper.admit(request.headers.get("Authorization"), request.remote or "", scope)
            handling = recorder.carry_out(request, handler, visitor)
            if request.method in ("GET", "HEAD"):
                with doorkeeper.reading(visitor):
                    response = await handling
            else:
                response = await to_its_end(handling)
        except RefusedError as refused:
            response = problem_answer(refused.status, str(refused))
            response.headers.update(refused.headers)
        except (NotFoundError, UnknownIdError):
            name = request.match_info.get("name")  # of a token or an endpoint: all else has an id
            kind = "token" if request.path.startswith("/api/v1/tokens/") else "endpoint"
            what = "nothing with this name or id" if name is None else f'no {kind} "{name[:64]}"'
            response = problem_answer(404, f"There is {what}.")
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
            allow = answer.headers.get("Allow")
            asks_what_may_be = allow is not None and request.method == "OPTIONS"
            response = web.Response(status=204) if asks_what_may_be else problem_answer(answer.status, answer.reason)
            if allow is not None:
                response.headers["Allow"] = allow
        except Exception as error:  # noqa: BLE001 - told as a problem, logged without what was sent
            _log.error("admin_request_failed", kind=type(error).__name__, reason=str(error)[:200])
            response = problem_answer(500, "Something went wrong here; the log says what.")
        return response

    app = web.Application(middlewares=[guard])
    app.on_response_prepare.append(_set_headers)
    for part in (*parts, OpenApi(parts)):
        app.router.add_routes([route(each) for each in part.operations()])
    return app


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Before the first byte: a stream is not over when its handler returns."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "webhookd"  # and of which version is nobody's business

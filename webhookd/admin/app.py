"""The application on the admin listener: who may ask, what errors become, and which part answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from webhookd.admin.answers import (
    BusyError,
    ConflictError,
    MistakesError,
    NotFoundError,
    RefusedError,
    mistakes_answer,
    problem_answer,
)
from webhookd.admin.operation import Part, route
from webhookd.admin.token import is_bearer
from webhookd.core.identifier import UnknownIdError
from webhookd.store.protocol import StoreUnavailableError

_CSP = "default-src 'none'; frame-ancestors 'none'"
_log = structlog.get_logger("webhookd.admin")


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
            name = request.match_info.get("name")  # of an endpoint: all else has an id
            what = "nothing with this name or id" if name is None else f'no endpoint "{name[:64]}"'
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
        app.router.add_routes([route(each) for each in part.operations()])
    return app

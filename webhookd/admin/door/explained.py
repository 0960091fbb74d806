"""What went wrong with a request, for who asked: a status, what to do, and which fields."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from aiohttp import web

from webhookd.admin.door.answers import mistakes_answer, problem_answer
from webhookd.admin.door.reasons import BusyError, ConflictError, Mistake, MistakesError, NotFoundError, RefusedError
from webhookd.core.fault import place
from webhookd.core.identifier import UnknownIdError
from webhookd.store.protocol.errors import StoreUnavailableError

_log = structlog.get_logger("webhookd.admin")


class Explained(NamedTuple):
    status: int
    detail: str
    """What to do. Quotes nothing that was sent but a name that was asked for."""
    headers: Mapping[str, str] = {}
    mistakes: Sequence[Mistake] = ()


def explained(error: Exception, request: web.Request | None = None) -> Explained:
    """What nobody foresaw is a 500, and in the log by its kind and place: its words may quote what was sent."""
    match error:
        case RefusedError():
            return Explained(error.status, str(error), error.headers)
        case NotFoundError() | UnknownIdError():
            # Of a token or an endpoint there is a name; all else has an id.
            name = None if request is None else request.match_info.get("name")
            kind = "endpoint" if request is None else _kind(request.path)
            what = "nothing with this name or id" if name is None else f'no {kind} "{name[:64]}"'
            return Explained(404, f"There is {what}.")
        case MistakesError():
            return Explained(422, str(error), mistakes=error.mistakes)
        case ConflictError():
            return Explained(409, str(error))
        case StoreUnavailableError():
            return Explained(503, "The store did not answer in time; narrow the list by time, or try again.")
        case BusyError():
            return Explained(503, str(error), {"Retry-After": "1"})
        case ConnectionResetError():  # who asked is gone: nobody hears it, and nothing is wrong here
            return Explained(503, "The connection was lost.")
        case web.HTTPException():
            allow = error.headers.get("Allow")
            asks_what_may_be = allow is not None and request is not None and request.method == "OPTIONS"
            status = 204 if asks_what_may_be else error.status
            return Explained(status, error.reason, {} if allow is None else {"Allow": allow})
    _log.error("admin_request_failed", kind=type(error).__name__, at=place(error))
    return Explained(500, "Something went wrong here; the log says what.")


def _kind(path: str) -> str:
    """What it is that the name in the path is of."""
    if path.startswith("/api/v1/tokens/"):
        return "token"
    return "source" if path.startswith(("/api/v1/sources/", "/refused/")) else "endpoint"


def problem_of(told: Explained) -> web.Response:
    """As `application/problem+json`."""
    if told.mistakes:
        return mistakes_answer(MistakesError(told.mistakes))
    response = web.Response(status=204) if told.status == 204 else problem_answer(told.status, told.detail)
    response.headers.update(told.headers)
    return response

"""One thing that the API does: where it is asked for, who may, what it takes and what it answers.

The router, the checks and `openapi.json` are all made from the same operation, so that none can say another thing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from aiohttp import web

from webhookd.admin.answers import Mistake, MistakesError, json_answer, json_object

Scope = Literal["nobody", "publish", "read", "replay", "admin"]
"""What a token must be good for. `read`, `replay` and `admin` each include the one before; `nobody` asks for none."""
_OPERATION = "operation"
Query = TypeVar("Query")
Body = TypeVar("Body")


class Asked(Generic[Query, Body]):
    """What a handler is given: each part as the struct that the operation declares."""

    __slots__ = ("body", "path", "query", "request")

    def __init__(self, request: web.Request, query: Query, body: Body) -> None:
        self.request = request
        self.path: Mapping[str, str] = request.match_info
        self.query = query
        self.body = body


class Operation(NamedTuple):
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    handle: Callable[[Asked[Any, Any]], Awaitable[object]]
    """Gives a value of `answer`, or a response of its own making."""
    summary: str
    answer: Any = None
    """The type of what is answered as JSON; None where the handler makes its own response."""
    scope: Scope = "read"
    action: str | None = None
    """What the audit trail calls it, like "endpoint.pause"; None for what changes nothing."""
    query: type[msgspec.Struct] | None = None
    """Parameters; each a text, a number or a flag, with its bounds as msgspec.Meta. Others are refused."""
    body: type[msgspec.Struct] | None = None
    """The request's object, `forbid_unknown_fields`; None where there is none, or where the handler reads it itself."""
    status: int = 200
    problems: Sequence[int] = ()
    """Statuses of problems beside 401, 403, 422, 429, 500 and 503, which any operation may answer."""


class Part(Protocol):
    """What answers a part of the API."""

    def operations(self) -> Sequence[Operation]: ...


def route(operation: Operation) -> web.RouteDef:
    """How the router serves it."""

    async def serve(request: web.Request) -> web.StreamResponse:
        query = _converted(dict(request.query), operation.query, strict=False)
        body = _converted(await json_object(request), operation.body, strict=True) if operation.body else None
        answer = await operation.handle(Asked(request, query, body))
        return answer if isinstance(answer, web.StreamResponse) else json_answer(answer, operation.status)

    setattr(serve, _OPERATION, operation)
    if operation.method == "GET":
        return web.get(operation.path, serve)  # HEAD too
    return web.route(operation.method, operation.path, serve)


def operation_of(request: web.Request) -> Operation | None:
    """What the router found for it: there before anything is read, and before it is known who asks."""
    return getattr(request.match_info.handler, _OPERATION, None)


def _converted(given: Mapping[str, Any], wanted: type[msgspec.Struct] | None, *, strict: bool) -> Any:
    """Raises MistakesError."""
    if wanted is None:
        return None
    try:
        return msgspec.convert(given, wanted, strict=strict)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$")
        raise MistakesError([Mistake(field.strip(".`") or "body", reason)]) from None

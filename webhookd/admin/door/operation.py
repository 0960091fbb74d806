"""One thing that the API does: where it is asked for, who may, what it takes and what it answers.

The router, the checks and `openapi.json` are all made from the same operation, so that none can say another thing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from aiohttp import web

from webhookd.admin.door.answers import json_answer, json_object
from webhookd.admin.door.asked import converted, converted_query
from webhookd.admin.door.reasons import Mistake, MistakesError

Scope = Literal["nobody", "publish", "read", "replay", "admin"]
"""What a token must be good for. `read`, `replay` and `admin` each include the one before; `nobody` asks for none."""
_OPERATION = "operation"
Query = TypeVar("Query")
Body = TypeVar("Body")


class Asked(Generic[Query, Body]):
    """What a handler is given: each part as the struct that the operation declares."""

    __slots__ = ("body", "path", "query", "request")

    def __init__(self, request: web.Request, query: Query, body: Body, path: Mapping[str, str] | None = None) -> None:
        self.request = request
        self.path: Mapping[str, str] = request.match_info if path is None else path
        self.query = query
        self.body = body


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No field at all."""


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
    query: type[msgspec.Struct] = Nothing
    """Parameters; each a text, a number, a flag or a `texts.Meaning`, with its bounds. Others are refused."""
    body: type[msgspec.Struct] = Nothing
    """The request's object. Others of its fields are refused, and all that is wrong with any is told at once."""
    read: Callable[[dict[str, Any]], Any] | None = None
    """Makes `Asked.body` of the object where that takes more than types; raises MistakesError. `body` describes it."""
    raw: bool = False
    """The handler reads the body itself, byte by byte; `body` describes it."""
    status: int = 200
    problems: Sequence[int] = ()
    """Statuses of problems beside those that any operation of its kind may answer: see `openapi`."""
    headers: Mapping[str, str] = {}
    """Headers of the request that mean something to the handler, and what."""
    segments: Mapping[str, str] = {}
    """What the parts of the path in braces look like: patterns."""
    media: str = "application/json"
    """Of the answer."""
    detail: str = ""
    """More than the summary, where there is more to know."""


class Part(Protocol):
    """What answers a part of the API."""

    def operations(self) -> Sequence[Operation]: ...


def route(operation: Operation) -> web.RouteDef:
    """How the router serves it."""

    async def serve(request: web.Request) -> web.StreamResponse:
        answer = await operation.handle(await _asked(request, operation))
        return answer if isinstance(answer, web.StreamResponse) else json_answer(answer, operation.status)

    setattr(serve, _OPERATION, operation)
    if operation.method == "GET":
        return web.get(operation.path, serve)  # HEAD too
    return web.route(operation.method, operation.path, serve)


def operation_of(request: web.Request) -> Operation | None:
    """What the router found for it: there before anything is read, and before it is known who asks."""
    return getattr(request.match_info.handler, _OPERATION, None)


async def _asked(request: web.Request, operation: Operation) -> Asked[Any, Any]:
    """Raises MistakesError with all that is wrong with the query and the body."""
    mistakes: list[Mistake] = []
    query: Any = None
    body: Any = None
    try:
        query = converted_query(request.query, operation.query)
    except MistakesError as error:
        mistakes += error.mistakes
    try:
        if operation.method != "GET" and not operation.raw:
            given = await json_object(request)
            body = operation.read(given) if operation.read else converted(given, operation.body)
    except MistakesError as error:
        mistakes += error.mistakes
    if mistakes:
        raise MistakesError(mistakes)
    return Asked(request, query, body)

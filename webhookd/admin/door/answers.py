"""How the API answers: JSON, a problem, and the reasons a handler may have for a problem."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from webhookd.admin.door.body import whole
from webhookd.core.problem import PROBLEM_JSON, Problem, problem_body

JSON = "application/json"
BODY_BYTES_MAX = 2**20
BODY_S = 10.0
MISTAKES_MAX = 100
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


asked_for: ContextVar[Callable[[dict[str, Any]], None] | None] = ContextVar("asked_for", default=None)
"""Who is told what a request's body asks for, as soon as that is known."""


class RefusedError(Exception):
    """Answered with this status and these headers, before anything else is looked at."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] = {}) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers


class NotFoundError(Exception):
    """404."""


class ConflictError(Exception):
    """409; the message says with what."""


class Mistake(msgspec.Struct, frozen=True):
    field: str
    reason: str


class MistakesError(Exception):
    """422, with every field that is wrong; at most MISTAKES_MAX, so that the answer is no larger than it is worth."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        mistakes = mistakes[:MISTAKES_MAX]
        super().__init__("; ".join(f"{each.field}: {each.reason}" for each in mistakes))
        self.mistakes = mistakes


class BusyError(Exception):
    """503 with `Retry-After`; the message says what is too much."""


class MistakesProblem(Problem, frozen=True, kw_only=True):
    errors: Sequence[Mistake]


def json_answer(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(value), content_type=JSON)


def problem_answer(status: int, detail: str) -> web.Response:
    return web.Response(status=status, body=problem_body(status, detail), headers={"Content-Type": PROBLEM_JSON})


def mistakes_answer(error: MistakesError) -> web.Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = MistakesProblem(status.phrase, status, str(error), errors=error.mistakes)
    return web.Response(status=status, body=_encode(problem), headers={"Content-Type": PROBLEM_JSON})


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body of a request as an object; an empty body is an empty one, and of a field given twice the last counts.

    Raises MistakesError, and what `whole` raises.
    """
    raw = await whole(request, BODY_BYTES_MAX, BODY_S)
    media = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if raw and media != JSON and not (media.startswith("application/") and media.endswith("+json")):
        raise web.HTTPUnsupportedMediaType(reason=f"Send it as Content-Type: {JSON}.")
    try:
        asked = _decode_object(raw or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MistakesError([Mistake("body", "must be a JSON object")]) from None
    if (heard := asked_for.get()) is not None:
        heard(asked)
    return asked

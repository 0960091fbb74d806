"""How the API answers: JSON, or a problem."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from webhookd.admin.door.body import whole
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.core.problem import PROBLEM_JSON, Problem, problem_body

JSON = "application/json"
BODY_BYTES_MAX = 2**20
BODY_S = 10.0
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


asked_for: ContextVar[Callable[[dict[str, Any]], None] | None] = ContextVar("asked_for", default=None)
"""Who is told what a request's body asks for, as soon as that is known."""


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

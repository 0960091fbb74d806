"""How the API answers: JSON, a problem, and the reasons a handler may have for a problem."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from webhookd.core.problem import PROBLEM_JSON, Problem, problem_body

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class RefusedError(Exception):
    """Answered with this status, and `WWW-Authenticate`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class NotFoundError(Exception):
    """404."""


class ConflictError(Exception):
    """409; the message says with what."""


class Mistake(msgspec.Struct, frozen=True):
    field: str
    reason: str


class MistakesError(Exception):
    """422, with every field that is wrong."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(f"{each.field}: {each.reason}" for each in mistakes))
        self.mistakes = mistakes


class BusyError(Exception):
    """503 with `Retry-After`; the message says what is too much."""


class MistakesProblem(Problem, frozen=True, kw_only=True):
    errors: Sequence[Mistake]


def json_answer(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(value), content_type="application/json")


def problem_answer(status: int, detail: str) -> web.Response:
    return web.Response(status=status, body=problem_body(status, detail), headers={"Content-Type": PROBLEM_JSON})


def mistakes_answer(error: MistakesError) -> web.Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = MistakesProblem(status.phrase, status, str(error), errors=error.mistakes)
    return web.Response(status=status, body=_encode(problem), headers={"Content-Type": PROBLEM_JSON})


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body of a request as an object; an empty body is an empty one. Raises MistakesError."""
    try:
        return _decode_object(await request.read() or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MistakesError([Mistake("body", "must be a JSON object")]) from None

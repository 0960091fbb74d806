"""How the API answers: JSON, a problem, and the reasons a handler may have for a problem."""

import msgspec
from aiohttp import web

from webhookd.core.problem import PROBLEM_JSON, problem_body

_encode = msgspec.json.Encoder().encode


class RefusedError(Exception):
    """Answered with this status, and `WWW-Authenticate`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class NotFoundError(Exception):
    """404."""


class BusyError(Exception):
    """503 with `Retry-After`; the message says what is too much."""


def json_answer(value: object) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json")


def problem_answer(status: int, detail: str) -> web.Response:
    return web.Response(status=status, body=problem_body(status, detail), headers={"Content-Type": PROBLEM_JSON})

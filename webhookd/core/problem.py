"""An error as HTTP says it: `application/problem+json` (RFC 9457)."""

from http import HTTPStatus

import msgspec

PROBLEM_JSON = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """`detail` says what to do, and never quotes what was sent."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


def problem_body(status: int, detail: str) -> bytes:
    return msgspec.json.encode(Problem(HTTPStatus(status).phrase, status, detail))

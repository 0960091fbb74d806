"""`GET /api/v1/openapi.json`: OpenAPI 3.1, made of the operations that answer and the structs that they check with."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from webhookd import __version__
from webhookd.admin.door.answers import JSON, MistakesProblem
from webhookd.admin.door.field_texts import field_texts, structs_of
from webhookd.admin.door.operation import Asked, Nothing, Operation, Part, Scope
from webhookd.core.problem import PROBLEM_JSON, Problem

PATH = "/api/v1/openapi.json"
_ABOUT = (
    "The operator's door of webhookd: the API behind every command. Times are RFC 3339 in UTC with milliseconds; money "
    "is in whole numbers of the smallest unit. Unknown parameters and fields are refused; of a field that is in an "
    "object twice the last one counts. Errors are problems as RFC 9457 has them."
)
_SEGMENT = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
_SCOPES: Mapping[Scope, str] = {
    "nobody": "No token is asked for.",
    "publish": "The token's scope must be `publish` or `admin`.",
    "read": "The token's scope must be `read`, `replay` or `admin`.",
    "replay": "The token's scope must be `replay` or `admin`.",
    "admin": "The token's scope must be `admin`.",
}
_WHY: Mapping[int, str] = {
    400: "The request is not HTTP as it should be.",
    401: "No token, or one that is not good (any more).",
    403: "The token's scope does not reach so far.",
    404: "There is nothing of this name or id.",
    408: "The body took too long.",
    409: "Not as things stand; `detail` says why.",
    410: "It was here, and retention has taken it.",
    413: "The body is too large.",
    415: "The body is not JSON, or it is compressed.",
    421: "The listener is not known under this name: see server.admin_hosts.",
    422: "Something in the request is wrong; `errors` has every field, each with the reason.",
    429: "Too many wrong tokens from this address. A right one is never refused.",
    500: "Something went wrong here; the log says what.",
    503: "Not now, try again: the store, or webhookd, is too busy for this, or the daemon is stopping.",
}


class OpenApi:
    """Describes these parts and itself. The document is made when it is first asked for, and kept."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._document: bytes | None = None

    def operations(self) -> Sequence[Operation]:
        return [Operation("GET", PATH, self.show, "This description", dict[str, Any], scope="nobody")]

    async def show(self, _asked: Asked[Nothing, Nothing]) -> web.Response:
        if self._document is None:
            every = [each for part in (*self._parts, self) for each in part.operations()]
            self._document = msgspec.json.encode(document(every))
        return web.Response(body=self._document, content_type=JSON)


class _Schemas:
    """Of these types, and of what they speak of."""

    def __init__(self, types: Sequence[Any]) -> None:
        self._types = types
        every, self.components = msgspec.json.schema_components(
            types, schema_hook=_meaning, ref_template="#/components/schemas/{name}"
        )
        self._by_type = dict(zip(map(repr, types), every, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        return self._by_type[repr(kind)]

    def describe(self) -> None:
        """With what stands in the source below each field."""
        texts = {struct.__name__: field_texts(struct) for struct in structs_of(self._types)}
        for component in self.components.values():
            described = texts.get(component["title"].partition("[")[0], {})
            for name, schema in component.get("properties", {}).items():
                if name in described:
                    schema.setdefault("description", described[name])


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    types = [Problem, MistakesProblem]
    for each in operations:
        types += [each.body, each.query] + ([each.answer] if each.answer is not None else [])
    schemas = _Schemas(types)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        path = _SEGMENT.sub(r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, schemas)
    for each in operations:
        schemas.components.pop(_name(schemas.of(each.query)), None)  # a parameter is described where it is
    schemas.describe()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "webhookd",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, operations))],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "whd_…",
                    "description": "The token in DATA_DIR/admin.token, which may do everything, or one made with "
                    "`POST /api/v1/tokens`.",
                }
            },
            "responses": {
                str(status): {
                    "description": why,
                    "content": {PROBLEM_JSON: {"schema": schemas.of(MistakesProblem if status == 422 else Problem)}},
                    **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
                }
                for status, why in _problems(operations).items()
            },
        },
    }


_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}


def _problems(operations: Sequence[Operation]) -> Mapping[int, str]:
    """Every status that a problem has here, and why."""
    answered = sorted({status for each in operations for status in problems(each)})
    return {status: _WHY.get(status, f"{HTTPStatus(status).phrase}.") for status in answered}


def problems(operation: Operation) -> Sequence[int]:
    """What an operation may answer beside what it is asked for."""
    found = {*operation.problems, 400, 421, 422, 500, 503}
    if operation.scope != "nobody":
        found |= {401, 403, 429}
    if operation.method != "GET":
        found |= {408, 413, 415}
    return sorted(found)


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    has_body = operation.body is not Nothing
    required = any(each.required for each in msgspec.structs.fields(operation.body))
    answer = schemas.of(operation.answer) if operation.answer is not None else {}
    media = operation.media if operation.answer is None or operation.media != JSON else JSON
    return {
        "operationId": _operation_id(operation),
        "tags": [_tag(operation)],
        "summary": operation.summary,
        "description": " ".join(filter(None, (operation.detail, _SCOPES[operation.scope]))),
        "parameters": [*_segments(operation), *_parameters(operation, schemas)],
        **(
            {"requestBody": {"required": required, "content": {JSON: {"schema": schemas.of(operation.body)}}}}
            if has_body
            else {}
        ),
        "responses": {
            str(operation.status): {
                "description": HTTPStatus(operation.status).phrase,
                "content": {media: {"schema": answer}},
            },
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in problems(operation)},
        },
        **({"security": []} if operation.scope == "nobody" else {}),
    }


def _operation_id(operation: Operation) -> str:
    """Like "post_endpoints_name_pause"."""
    words = _SEGMENT.sub(r"\1", operation.path.removeprefix("/api/v1"))
    return "_".join([operation.method.lower(), *re.findall(r"\w+", words)])


def _tag(operation: Operation) -> str:
    return operation.path.removeprefix("/api/v1").split("/")[1]


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _segments(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": operation.segments.get(name, "^[^/]+$")},
        }
        for name in _SEGMENT.findall(operation.path)
    ]


def _parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    described = schemas.components[_name(schemas.of(operation.query))]
    texts = field_texts(operation.query)
    headers = [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]
    return headers + [
        {
            "name": name,
            "in": "query",
            "required": name in described.get("required", ()),
            **({"description": texts[name]} if name in texts else {}),
            "schema": _given(schema),
        }
        for name, schema in described.get("properties", {}).items()
    ]


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Without null: a parameter is given or it is not."""
    if "anyOf" in schema:
        rest = [each for each in schema["anyOf"] if each != {"type": "null"}]
        return dict(rest[0]) if len(rest) == 1 else {"anyOf": rest}
    return {
        name: [each for each in value if each is not None] if name == "enum" else value
        for name, value in schema.items()
        if value is not None
    }


def _meaning(kind: type) -> dict[str, Any]:
    return dict(kind.SCHEMA)  # type: ignore[attr-defined]

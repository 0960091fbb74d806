"""The API, asked from within: by a page that shows a person what it answers.

It is the same operation, with the same checks of scope, query and body, and on the same record, as when it is asked
over the network. So a page can show and do nothing that the API would not, and there is one way to everything.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from multidict import MultiDict

from webhookd.admin.door.answers import asked_for
from webhookd.admin.door.asked import converted, converted_query
from webhookd.admin.door.doorkeeper import Visitor
from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.reasons import RefusedError
from webhookd.admin.door.recorder import Recorder
from webhookd.admin.door.token import GOOD_FOR


class Inside:
    def __init__(self, operations: Iterable[Operation], recorder: Recorder) -> None:
        self._operations = {f"{each.method} {each.path}": each for each in operations}
        self._recorder = recorder

    async def ask(
        self,
        request: web.Request,
        visitor: Visitor,
        operation: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the operation, named like "GET /api/v1/events/{id}", answers: its struct, or the response it makes.

        Raises what the operation raises, RefusedError (403) for a scope that the visitor lacks, and MistakesError.
        """
        wanted = self._operations[operation]
        if wanted.scope != "nobody" and wanted.scope not in GOOD_FOR[visitor.scope]:
            lacks = f'The token "{visitor.name}" is good for {visitor.scope}, and this needs one for {wanted.scope}.'
            raise RefusedError(403, lacks)
        path, query = path or {}, query or {}

        async def do() -> Any:
            asked_query = converted_query(MultiDict(query), wanted.query)
            asked_body: Any = None
            if wanted.method != "GET":
                given = dict(body or {})
                if (heard := asked_for.get()) is not None:
                    heard(given)
                asked_body = wanted.read(given) if wanted.read else converted(given, wanted.body)
            return await wanted.handle(Asked(request, asked_query, asked_body, path))

        if wanted.action is None:
            return await do()
        return await asyncio.create_task(self._recorder.carry_out(wanted, visitor, path, query, do))

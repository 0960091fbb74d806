"""Sees to it that what is changed on somebody's behalf is on record: who, from where, what, and what was asked for.

Parts of the API know nothing of it. A request whose operation has an action is carried out as a deed, and the store
puts it on record in the transaction of its change. What changes nothing there (a ping, a reload) is put on record when
it has been done.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import structlog
from aiohttp import web

from webhookd.admin.door.answers import asked_for
from webhookd.admin.door.doorkeeper import Visitor
from webhookd.admin.door.operation import Operation
from webhookd.admin.door.retelling import plain, retold
from webhookd.clock import Clock
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.trail import Deed, Trail, current_deed

T = TypeVar("T")
_log = structlog.get_logger("webhookd.admin")


class Recorder:
    def __init__(self, trail: Trail, clock: Clock) -> None:
        self._trail = trail
        self._clock = clock

    async def carry_out(
        self,
        operation: Operation | None,
        visitor: Visitor | None,
        path: Mapping[str, str],
        query: Mapping[str, str],
        do: Callable[[], Awaitable[T]],
    ) -> T:
        """To be run as a task of its own: what is done elsewhere is none of this deed."""
        # An event that is published is on record in the log itself; a row for each would be a second log.
        if operation is None or operation.action is None or operation.scope == "publish" or visitor is None:
            return await do()
        deed = Deed(self._clock.now_ms(), visitor.name, operation.action, address=visitor.address)
        deed.subject = plain(" ".join(path.values())) or None
        asked: dict[str, object] = dict(query)
        deed.detail = retold(asked)

        def heard(body: dict[str, object]) -> None:
            asked.update(body)
            deed.detail = retold(asked)
            if deed.subject is None and isinstance(name := body.get("name"), str):
                deed.subject = plain(name)

        asked_for.set(heard)
        current_deed.set(deed)
        try:
            answer = await do()
            refused = isinstance(answer, web.StreamResponse) and answer.status >= 400
            if not refused and deed.recorded_by is None and asked.get("dry_run") not in (True, "true"):
                await self._record(deed)
            return answer
        finally:
            deed.is_over = True

    async def _record(self, deed: Deed) -> None:
        """It has been done, whether or not this can be stored."""
        try:
            await self._trail.record(deed)
        except StoreError as error:
            _log.error("audit_row_lost", action=deed.action, actor=deed.actor, reason=str(error)[:200])

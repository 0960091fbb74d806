"""`/api/v1/audit`: who changed what, when, from where, and how it was asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.texts import Glob, Instant, Text
from webhookd.core.units import time_text
from webhookd.store.protocol.trail import AuditRow, Trail, TrailFilter

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class AuditQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest first."""

    actor: Text | None = None
    """A token's name, `admin.token`, or `webhookd` for what it did of itself."""
    action: Glob | None = None
    subject: Text | None = None
    """The name or id of what was changed."""
    since: Instant | None = None
    until: Instant | None = None


class AuditView(msgspec.Struct):
    at: str
    actor: str
    address: str | None
    """Where the request came from."""
    action: str
    subject: str | None
    detail: Mapping[str, Any] | None
    """What was asked for, without secrets."""


class AuditApi:
    def __init__(self, trail: Trail, pages: Pages) -> None:
        self._trail = trail
        self._pages = pages

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/audit",
                self.list,
                "The audit trail, newest first",
                Page[AuditView],
                scope="admin",
                query=AuditQuery,
            )
        ]

    async def list(self, asked: Asked[AuditQuery, Any]) -> Page[AuditView]:
        query = asked.query
        (below,) = self._pages.after(asked) or (None,)
        narrowed = TrailFilter(query.actor, query.action, query.subject, query.since, query.until, below)
        rows = await self._trail.list(narrowed, query.limit)
        views = [_view(each) for each in rows]
        return self._pages.page(asked, views, rows[-1].number) if rows else Page([], None)


def _view(row: AuditRow) -> AuditView:
    detail = None if row.detail is None else _decode(row.detail)
    return AuditView(time_text(row.at), row.actor, row.address, row.action, row.subject, detail)

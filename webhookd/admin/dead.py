"""`/api/v1/dead`: what was given up, counted by endpoint and reason."""

from collections.abc import Sequence

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.texts import Text
from webhookd.admin.remedy import remedy
from webhookd.core.identifier import key_ms
from webhookd.core.story_words import failure
from webhookd.core.units import time_text
from webhookd.store.protocol.dead_letters import DeadLetters, DeadOfEndpoint, Reason
from webhookd.store.protocol.endpoints import Endpoints


class DeadQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    endpoint: Text | None = None


class DeadReason(msgspec.Struct):
    error: str | None
    """As `GET /deliveries` and a replay take it."""
    status: int | None
    words: str
    """What went wrong."""
    advice: str
    """What to do, so that it can arrive."""
    deliveries: int
    is_exact: bool
    """False: there are more. Half a million are counted, all reasons together, and 10,000 of each."""
    oldest_at: str
    """When the first of their events was received, …"""
    newest_at: str
    """… and the last."""


class DeadAtEndpoint(msgspec.Struct):
    endpoint: str
    in_service: bool
    """False: it was removed, and nothing can be sent to it."""
    deliveries: int
    is_exact: bool
    reasons: list[DeadReason]
    """The one with the most deliveries first."""


class DeadApi:
    def __init__(self, store: DeadLetters, endpoints: Endpoints, pages: Pages) -> None:
        self._store = store
        self._endpoints = endpoints
        self._pages = pages

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/dead",
                self.by_reason,
                "Count what was given up, by endpoint and reason",
                Page[DeadAtEndpoint],
                query=DeadQuery,
                detail="Of the last attempt. `GET /deliveries` with `state=dead`, `error` and `status` lists what was "
                "given up for a reason, and a replay with the same makes it due again.",
            )
        ]

    async def by_reason(self, asked: Asked[DeadQuery, Nothing]) -> Page[DeadAtEndpoint]:
        (after,) = self._pages.after(asked) or (0,)
        name = asked.query.endpoint
        rows = await self._store.by_reason(after, asked.query.limit, name)
        if not rows and name is not None and await self._endpoints.endpoint(name) is None:
            raise MistakesError([Mistake("endpoint", f'there is no endpoint "{name[:64]}"')])
        return self._pages.page(asked, [_view(row) for row in rows], *(row.number for row in rows[-1:]))


def _view(row: DeadOfEndpoint) -> DeadAtEndpoint:
    return DeadAtEndpoint(
        endpoint=row.name,
        in_service=row.in_service,
        deliveries=sum(each.deliveries for each in row.reasons),
        is_exact=all(each.is_exact for each in row.reasons),
        reasons=[_reason(each) for each in row.reasons],
    )


def _reason(reason: Reason) -> DeadReason:
    return DeadReason(
        error=reason.error,
        status=reason.status,
        words=failure(reason.status, reason.error),
        advice=remedy(reason.error, reason.status),
        deliveries=reason.deliveries,
        is_exact=reason.is_exact,
        oldest_at=time_text(key_ms(reason.oldest)),
        newest_at=time_text(key_ms(reason.newest)),
    )

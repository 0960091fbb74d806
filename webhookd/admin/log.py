"""`/api/v1/events` and `/api/v1/deliveries`: the log of events, and what is owed to whom."""

from collections.abc import Sequence

from aiohttp import web

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.reasons import Mistake, MistakesError, NotFoundError
from webhookd.admin.door.texts import EventKey, Glob, Instant, SignerName, Status, Text
from webhookd.admin.views import Delivery, Event, delivery_view, event_view
from webhookd.core.delivery import DeliveryState, FailureWord
from webhookd.core.event import EventState
from webhookd.core.identifier import parse_delivery_id, parse_event_id
from webhookd.core.units import time_text
from webhookd.store.protocol.dead_letters import DeadLetters
from webhookd.store.protocol.endpoints import Endpoints
from webhookd.store.protocol.history import Filter, History
from webhookd.store.protocol.lookup import Lookup, TooManyError
from webhookd.store.protocol.retention import Retention

EVENT = {"id": "^evt_[0-9a-f]{32}$"}
DELIVERY = {"id": "^dlv_[0-9a-f]{24}$"}


class LogQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest first."""

    source: Text | None = None
    provider: SignerName | None = None
    type: Glob | None = None
    since: Instant | None = None
    """Received then or later."""
    until: Instant | None = None
    """Received before."""
    q: Text | None = None
    """Something at hand that names it, whole: the id of an event or of a delivery, the id that the event has at its
    source, its payment or object, or a reference of either. Looked for in indexes; bodies are not searched."""


class EventsQuery(LogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: EventState | None = None
    after: EventKey | None = None
    """Only what came after this event, oldest first."""
    delivery_states: bool = False
    """Each with how many of its deliveries there are in each state."""


class DeliveriesQuery(LogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    endpoint: Text | None = None
    state: DeliveryState | None = None
    error: FailureWord | None = None
    """What the last attempt found; `status` is any answer but 2xx and 3xx."""
    status: Status | None = None
    """What the last attempt was answered."""


class LogApi:
    """`past` knows what retention has taken out."""

    def __init__(
        self,
        store: History,
        past: Retention,
        endpoints: Endpoints,
        lookup: Lookup,
        dead: DeadLetters,
        pages: Pages,
    ) -> None:
        self._store = store
        self._dead = dead
        self._lookup = lookup
        self._past = past
        self._endpoints = endpoints
        self._pages = pages

    def operations(self) -> Sequence[Operation]:
        return [
            Operation("GET", "/api/v1/events", self.events, "List events", Page[Event], query=EventsQuery),
            Operation(
                "GET",
                "/api/v1/events/{id}",
                self.event,
                "An event with its deliveries and every attempt",
                Event,
                problems=[404, 410],
                segments=EVENT,
            ),
            Operation(
                "GET",
                "/api/v1/events/{id}/body",
                self.body,
                "The provider's bytes, as they came",
                problems=[404, 410],
                segments=EVENT,
                media="application/octet-stream",
            ),
            Operation(
                "GET", "/api/v1/deliveries", self.deliveries, "List deliveries", Page[Delivery], query=DeliveriesQuery
            ),
            Operation(
                "GET",
                "/api/v1/deliveries/{id}",
                self.delivery,
                "A delivery with every attempt",
                Delivery,
                problems=[404, 410],
                segments=DELIVERY,
            ),
        ]

    async def events(self, asked: Asked[EventsQuery, Nothing]) -> Page[Event]:
        narrowed = _filter(asked.query, self._pages.after(asked))
        keys = await self._bearing(asked.query.q)
        if keys is None:
            found = await self._store.events(narrowed, asked.query.limit)
        else:
            found = await self._lookup.events(keys, narrowed, asked.query.limit)
        views = [event_view(row) for row in found.rows]
        if asked.query.delivery_states:
            states = await self._lookup.delivery_states([row.key for row in found.rows])
            for row, view in zip(found.rows, views, strict=True):
                view.delivery_states = states.get(row.key, {})
        return self._pages.looked(asked, views, found.then)

    async def event(self, asked: Asked[Nothing, Nothing]) -> Event:
        key, salt = parse_event_id(asked.path["id"])
        row = await self._store.event(key, salt)
        if row is None:
            raise await self._missing(key, salt)
        deliveries = [
            delivery_view(each, await self._store.attempts(each.event, each.endpoint))
            for each in await self._store.deliveries_of(key)
        ]
        return event_view(row, deliveries)

    async def body(self, asked: Asked[Nothing, Nothing]) -> web.Response:
        key, salt = parse_event_id(asked.path["id"])
        if await self._store.event(key, salt) is None:
            raise await self._missing(key, salt)
        body = await self._store.body(key)
        if body is None:
            raise web.HTTPGone(reason="The body is no longer kept (retention.bodies); what it said of money still is.")
        # Hostile bytes: a download, never a page.
        return web.Response(
            body=body,
            content_type="application/octet-stream",
            headers={
                "Content-Disposition": f'attachment; filename="{asked.path["id"]}.json"',
                "Content-Security-Policy": "sandbox",
            },
        )

    async def deliveries(self, asked: Asked[DeliveriesQuery, Nothing]) -> Page[Delivery]:
        narrowed = _filter(asked.query, self._pages.after(asked, 2))
        keys = await self._bearing(asked.query.q)
        if keys is None and narrowed.state == "pending":
            found = await self._lookup.pending(narrowed, asked.query.limit)
        elif keys is None and narrowed.state == "dead":
            found = await self._dead.deliveries(narrowed, asked.query.limit)
        elif keys is None:
            found = await self._store.deliveries(narrowed, asked.query.limit)
        else:
            found = await self._lookup.deliveries(keys, narrowed, asked.query.limit)
        if not found.rows and (name := narrowed.endpoint) is not None and await self._endpoints.endpoint(name) is None:
            raise MistakesError([Mistake("endpoint", f'there is no endpoint "{name[:64]}"')])
        return self._pages.looked(asked, [delivery_view(row) for row in found.rows], found.then)

    async def delivery(self, asked: Asked[Nothing, Nothing]) -> Delivery:
        event, endpoint = parse_delivery_id(asked.path["id"])
        row = await self._store.delivery(event, endpoint)
        if row is None:
            raise await self._missing(event)
        return delivery_view(row, await self._store.attempts(event, endpoint))

    async def _missing(self, key: int, salt: int | None = None) -> Exception:
        past = await self._past.past(key, salt)
        if past is None:
            return NotFoundError()
        taken_at = time_text(past.taken_at)
        return web.HTTPGone(reason=f"It was taken out of the log by retention at {taken_at}, and is no longer kept.")

    async def _bearing(self, text: str | None) -> Sequence[int] | None:
        """The keys of the events that it names; None where nothing is looked for."""
        try:
            return None if text is None else await self._lookup.bearing(text)
        except TooManyError:
            raise MistakesError([Mistake("q", "is borne by very many events: look for something rarer")]) from None


def _filter(query: EventsQuery | DeliveriesQuery, place: tuple[int, ...] | None) -> Filter:
    """`place` is where the page before ended, whichever way the list goes."""
    before: tuple[int, int] | None = None
    after: int | None = query.after if isinstance(query, EventsQuery) else None
    if place is not None and after is not None:
        after = place[0]
    elif place is not None:
        before = place[0], place[1] if isinstance(query, DeliveriesQuery) else 0
    return Filter(
        source=query.source,
        provider=query.provider,
        type=query.type,
        state=query.state,
        endpoint=query.endpoint if isinstance(query, DeliveriesQuery) else None,
        error=query.error if isinstance(query, DeliveriesQuery) else None,
        status=query.status if isinstance(query, DeliveriesQuery) else None,
        since_ms=query.since,
        until_ms=query.until,
        before=before,
        after=after,
    )

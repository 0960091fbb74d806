"""`/api/v1/endpoints`: who is delivered to. What is changed here holds at once, and over a restart."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.reasons import BusyError, Mistake, MistakesError, NotFoundError
from webhookd.admin.door.texts import Text
from webhookd.admin.endpoint_bodies import EndpointChange, NewEndpoint, Rotation
from webhookd.admin.endpoint_views import EndpointView, endpoint_view, look_closely
from webhookd.admin.registry import SECRET_KINDS, Registry, Traffic
from webhookd.clock import Clock
from webhookd.core.delivery import Outcome
from webhookd.core.endpoint import Endpoint, EndpointState
from webhookd.core.signature import AsymmetricKey, signing_key
from webhookd.core.units import duration_ms
from webhookd.store.protocol.endpoints import EndpointRow, Endpoints
from webhookd.store.protocol.errors import StoreUnavailableError

T = TypeVar("T")
OVERLAP_DEFAULT = "24h"
UNCHANGEABLE = {
    "name": "cannot be changed: what is owed is owed under it",
    "secret": "is replaced by rotate-secret",
    "old_secrets": "rotate-secret keeps the one before",
    "secret_kind": "is chosen with rotate-secret",
}
PINGS_MAX = 16
"""Under way at a time."""
Ping = Callable[[Endpoint], Awaitable[Outcome]]
_ABSENT = object()


class EndpointsQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Oldest first."""

    removed: bool = False
    """Those too that are not in service any more."""
    name: Text | None = None
    """Contained in its name."""
    state: EndpointState | None = None


class PingView(msgspec.Struct):
    status: int | None
    error: str | None
    """As of an attempt; None on success."""
    duration_ms: int
    response: str


class EndpointsApi:
    def __init__(
        self, store: Endpoints, registry: Registry, traffic: Traffic, clock: Clock, ping: Ping, pages: Pages
    ) -> None:
        self._pages = pages
        self._store = store
        self._registry = registry
        self._traffic = traffic
        self._clock = clock
        self._ping = ping
        self._pings = 0

    def operations(self) -> Sequence[Operation]:
        path = "/api/v1/endpoints"
        one = f"{path}/{{name}}"
        return [
            Operation("GET", path, self.list, "List endpoints", Page[EndpointView], query=EndpointsQuery),
            Operation("GET", one, self.show, "An endpoint", EndpointView, problems=[404]),
            _change("POST", path, self.add, "Add an endpoint", "add", body=NewEndpoint, read=dict, status=201),
            _change("PATCH", one, self.change, "Change an endpoint", "change", body=EndpointChange, read=dict),
            _change("DELETE", one, self.remove, "Take an endpoint out of service", "remove"),
            _change("POST", f"{one}/pause", self._standing("paused"), "Deliver nothing for now", "pause"),
            _change("POST", f"{one}/resume", self._standing("active"), "Go on delivering", "resume"),
            _change("POST", f"{one}/ping", self.ping, "Make one attempt now", "ping", answer=PingView),
            _change(
                "POST", f"{one}/rotate-secret", self.rotate, "Sign anew", "rotate-secret", body=Rotation, read=dict
            ),
        ]

    async def list(self, asked: Asked[EndpointsQuery, Nothing]) -> Page[EndpointView]:
        (after,) = self._pages.after(asked) or (0,)
        query = asked.query
        part = None if query.name is None else query.name.lower()  # as all names are
        rows = await self._store.endpoints(
            after,
            query.limit,
            removed=query.removed,
            part=part,
            state=query.state,
            unusable=self._registry.mistakes if query.state else (),
        )
        return self._pages.page(asked, [self._view(row) for row in rows], *(row.number for row in rows[-1:]))

    async def show(self, asked: Asked[Nothing, Nothing]) -> EndpointView:
        return await self._shown(asked.path["name"])

    async def add(self, asked: Asked[Nothing, dict[str, Any]]) -> EndpointView:
        settings = asked.body
        name, kind = settings.pop("name", ""), settings.pop("secret_kind", "hmac")
        mistakes = _kind_mistakes(kind) + _take_out(settings, {"old_secrets": "rotate-secret keeps the one before"})
        name = name if isinstance(name, str) else ""
        removed = await self._store.endpoint(name)
        generated = await self._registry.add(name, settings, kind, mistakes)
        view = await self._shown(name, generated, self._new_row(name))
        if removed is not None and removed.pending:
            view.held = removed.pending
        return view

    async def change(self, asked: Asked[Nothing, dict[str, Any]]) -> EndpointView:
        name, patch = asked.path["name"], asked.body
        await self._registry.change(name, patch, _take_out(patch, UNCHANGEABLE))
        return await self._shown(name)

    async def remove(self, asked: Asked[Nothing, Nothing]) -> EndpointView:
        name = asked.path["name"]
        await self._registry.remove(name)
        return await self._shown(name)

    def _standing(self, state: EndpointState) -> Callable[[Asked[Nothing, Nothing]], Awaitable[EndpointView]]:
        async def stand(asked: Asked[Nothing, Nothing]) -> EndpointView:
            name = asked.path["name"]
            await self._registry.set_state(name, state)
            return await self._shown(name)

        return stand

    async def rotate(self, asked: Asked[Nothing, dict[str, Any]]) -> EndpointView:
        name, given = asked.path["name"], asked.body
        signs_with = self._registry.find(name).keys[0].key
        kind = given.pop("secret_kind", "ed25519" if isinstance(signs_with, AsymmetricKey) else "hmac")
        secret, overlap = given.pop("secret", None), given.pop("overlap", OVERLAP_DEFAULT)
        mistakes = _kind_mistakes(kind) + _take_out(given, dict.fromkeys(given, "is not a setting of a rotation"))
        overlap_ms = _understood("overlap", overlap, duration_ms, mistakes)
        if secret is not None:
            _understood("secret", secret, signing_key, mistakes)
        if mistakes or overlap_ms is None:
            raise MistakesError(mistakes)
        before = await self._store.endpoint(name)
        generated = await self._registry.rotate(name, secret, kind, overlap_ms)
        return await self._shown(name, generated, before)

    async def ping(self, asked: Asked[Nothing, Nothing]) -> PingView:
        """One attempt, now, of an event that is in no log; also when the endpoint is paused."""
        endpoint = self._registry.find(asked.path["name"])
        if self._pings >= PINGS_MAX:
            raise BusyError(f"{PINGS_MAX} pings are under way already.")
        self._pings += 1
        try:
            outcome = await self._ping(endpoint)
        finally:
            self._pings -= 1
        response = outcome.response.decode("utf-8", "replace")
        return PingView(outcome.status, outcome.error, outcome.duration_ms, response)

    async def _shown(self, name: str, secret: str | None = None, otherwise: EndpointRow | None = None) -> EndpointView:
        """With a secret, which is told only now, also when the store cannot be read: then of the row there was."""
        try:
            row = await self._store.endpoint(name)
        except StoreUnavailableError:
            if secret is None:
                raise
            row = otherwise
        if row is None:
            raise NotFoundError
        view = self._view(row)
        if secret is not None:
            view.secret = secret
        return view

    def _new_row(self, name: str) -> EndpointRow | None:
        """Of one that has just been added."""
        if (endpoint := self._registry.get(name)) is None:
            return None
        number, url, state, now_ms = endpoint.number, endpoint.spec.url, endpoint.state, self._clock.now_ms()
        return EndpointRow(number, name, url, state, endpoint.why, "api", endpoint.health, now_ms, 0, 0, None)

    def _view(self, row: EndpointRow) -> EndpointView:
        view = endpoint_view(row, self._traffic.view(row.name), self._registry.mistakes.get(row.name))
        if (endpoint := self._registry.get(row.name)) is not None:
            look_closely(view, endpoint, self._clock.now_ms())
        return view


def _change(method: Any, path: str, handle: Any, summary: str, action: str, **more: Any) -> Operation:
    given = {"answer": EndpointView, "problems": [404, 409], **more}
    return Operation(method, path, handle, summary, scope="admin", action=f"endpoint.{action}", **given)


def _take_out(given: dict[str, Any], refused: Mapping[str, str]) -> list[Mistake]:
    """Those of the fields that are given all the same are mistakes, and given no more."""
    return [Mistake(field, reason) for field, reason in refused.items() if given.pop(field, _ABSENT) is not _ABSENT]


def _kind_mistakes(kind: object) -> list[Mistake]:
    return [] if kind in SECRET_KINDS else [Mistake("secret_kind", f"must be {' or '.join(SECRET_KINDS)}")]


def _understood(field: str, value: object, read: Callable[[str], T], mistakes: list[Mistake]) -> T | None:
    """What the text says; None when it says nothing, which is one mistake more."""
    try:
        if isinstance(value, str):
            return read(value)
        mistakes.append(Mistake(field, "must be a string"))
    except ValueError as error:
        mistakes.append(Mistake(field, str(error)))
    return None

"""`/api/v1/endpoints`: who is delivered to. What is changed here holds at once, and over a restart."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from webhookd.admin.answers import (
    BusyError,
    Mistake,
    MistakesError,
    NotFoundError,
    json_answer,
    json_object,
)
from webhookd.admin.endpoint_views import EndpointView, endpoint_view, look_closely
from webhookd.admin.list_query import flag, page_of
from webhookd.admin.registry import SECRET_KINDS, Registry, Traffic
from webhookd.admin.views import Page, cursor_text
from webhookd.clock import Clock
from webhookd.core.delivery import Outcome
from webhookd.core.endpoint import Endpoint, EndpointState
from webhookd.core.signature import AsymmetricKey, signing_key
from webhookd.core.units import duration_ms
from webhookd.store.endpoint_protocol import EndpointRow, Endpoints

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


class PingView(msgspec.Struct):
    status: int | None
    error: str | None
    """As of an attempt; None on success."""
    duration_ms: int
    response: str


class EndpointsApi:
    def __init__(self, store: Endpoints, registry: Registry, traffic: Traffic, clock: Clock, ping: Ping) -> None:
        self._store = store
        self._registry = registry
        self._traffic = traffic
        self._clock = clock
        self._ping = ping
        self._pings = 0

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v1/endpoints"
        return [
            web.get(path, self.list),
            web.post(path, self.add),
            web.get(f"{path}/{{name}}", self.show),
            web.patch(f"{path}/{{name}}", self.change),
            web.delete(f"{path}/{{name}}", self.remove),
            web.post(f"{path}/{{name}}/pause", self._standing("paused")),
            web.post(f"{path}/{{name}}/resume", self._standing("active")),
            web.post(f"{path}/{{name}}/ping", self.ping),
            web.post(f"{path}/{{name}}/rotate-secret", self.rotate),
        ]

    async def list(self, request: web.Request) -> web.Response:
        after, limit = page_of(request.query, {"removed"})
        rows = await self._store.endpoints(after, limit, removed=flag(request.query, "removed"))
        cursor = cursor_text(rows[-1].number) if len(rows) == limit else None
        return json_answer(Page([self._view(row) for row in rows], cursor))

    async def show(self, request: web.Request) -> web.Response:
        return json_answer(await self._shown(request.match_info["name"]))

    async def add(self, request: web.Request) -> web.Response:
        settings = await json_object(request)
        name, kind = settings.pop("name", ""), settings.pop("secret_kind", "hmac")
        mistakes = _kind_mistakes(kind) + _take_out(settings, {"old_secrets": "rotate-secret keeps the one before"})
        name = name if isinstance(name, str) else ""
        removed = await self._store.endpoint(name)
        generated = await self._registry.add(name, settings, kind, mistakes)
        view = await self._shown(name, generated)
        if removed is not None and removed.pending:
            view.held = removed.pending
        return json_answer(view, 201)

    async def change(self, request: web.Request) -> web.Response:
        name, patch = request.match_info["name"], await json_object(request)
        await self._registry.change(name, patch, _take_out(patch, UNCHANGEABLE))
        return json_answer(await self._shown(name))

    async def remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._registry.remove(name)
        return json_answer(await self._shown(name))

    def _standing(self, state: EndpointState) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def stand(request: web.Request) -> web.Response:
            name = request.match_info["name"]
            await self._registry.set_state(name, state)
            return json_answer(await self._shown(name))

        return stand

    async def rotate(self, request: web.Request) -> web.Response:
        name, given = request.match_info["name"], await json_object(request)
        signs_with = self._registry.find(name).keys[0].key
        kind = given.pop("secret_kind", "ed25519" if isinstance(signs_with, AsymmetricKey) else "hmac")
        secret, overlap = given.pop("secret", None), given.pop("overlap", OVERLAP_DEFAULT)
        mistakes = _kind_mistakes(kind) + _take_out(given, dict.fromkeys(given, "is not a setting of a rotation"))
        overlap_ms = _understood("overlap", overlap, duration_ms, mistakes)
        if secret is not None:
            _understood("secret", secret, signing_key, mistakes)
        if mistakes or overlap_ms is None:
            raise MistakesError(mistakes)
        generated = await self._registry.rotate(name, secret, kind, overlap_ms)
        return json_answer(await self._shown(name, generated))

    async def ping(self, request: web.Request) -> web.Response:
        """One attempt, now, of an event that is in no log; also when the endpoint is paused."""
        endpoint = self._registry.find(request.match_info["name"])
        if self._pings >= PINGS_MAX:
            raise BusyError(f"{PINGS_MAX} pings are under way already.")
        self._pings += 1
        try:
            outcome = await self._ping(endpoint)
        finally:
            self._pings -= 1
        response = outcome.response.decode("utf-8", "replace")
        return json_answer(PingView(outcome.status, outcome.error, outcome.duration_ms, response))

    async def _shown(self, name: str, secret: str | None = None) -> EndpointView:
        row = await self._store.endpoint(name)
        if row is None:
            raise NotFoundError
        view = self._view(row)
        if secret is not None:
            view.secret = secret
        return view

    def _view(self, row: EndpointRow) -> EndpointView:
        view = endpoint_view(row, self._traffic.view(row.name), self._registry.mistakes.get(row.name))
        if (endpoint := self._registry.get(row.name)) is not None:
            look_closely(view, endpoint, self._clock.now_ms())
        return view


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

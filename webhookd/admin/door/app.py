"""The application on the admin listener: who may ask, what errors become, and which part answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from webhookd.admin.door.doorkeeper import Doorkeeper
from webhookd.admin.door.explained import explained, problem_of
from webhookd.admin.door.hosts import Hosts
from webhookd.admin.door.openapi import OpenApi
from webhookd.admin.door.operation import Part, operation_of, route
from webhookd.admin.door.recorder import Recorder

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""With every answer that does not say otherwise. There is nothing here for a page to embed, frame, sniff or keep."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site(Protocol):
    """What people see in a browser, beside the API."""

    def routes(self) -> Sequence[web.RouteDef]: ...

    def serves(self, request: web.Request) -> bool:
        """Whether the answer is a page, also where there is none at this path."""
        ...

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Of one of its routes."""
        ...

    def problem(self, request: web.Request, error: Exception) -> web.StreamResponse:
        """What it says of an error, its own or the door's."""
        ...


def admin_app(
    doorkeeper: Doorkeeper, hosts: Hosts, recorder: Recorder, *parts: Part, site: Site | None = None
) -> web.Application:
    """Its runner may cancel what only reads when the client leaves; what changes something goes on to its end."""
    changes: set[asyncio.Future[web.StreamResponse]] = set()

    async def to_its_end(handling: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        change = asyncio.ensure_future(handling)
        changes.add(change)
        change.add_done_callback(changes.discard)
        return await asyncio.shield(change)

    async def of_the_api(request: web.Request, handler: Handler) -> web.StreamResponse:
        visitor = None
        operation = operation_of(request)
        # What is not there is told to whoever has a token, of whatever scope.
        if request.path.startswith("/api/") if operation is None else operation.scope != "nobody":
            scope = None if operation is None else operation.scope
            visitor = await doorkeeper.admit(request.headers.get("Authorization"), request.remote or "", scope)
        do = partial(handler, request)
        handling = recorder.carry_out(operation, visitor, request.match_info, request.query, do)
        if request.method in ("GET", "HEAD"):
            with doorkeeper.reading(visitor):
                return await handling
        return await to_its_end(handling)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> Any:
        page = site if site is not None and site.serves(request) else None
        try:
            hosts.check(request)
            if page is None:
                return await of_the_api(request, handler)
            answering = page.answer(request, handler)
            return await (answering if request.method in ("GET", "HEAD") else to_its_end(answering))
        except Exception as error:  # noqa: BLE001 - told as a problem, logged without what was sent
            return problem_of(explained(error, request)) if page is None else page.problem(request, error)

    app = web.Application(middlewares=[guard])
    app.on_response_prepare.append(_set_headers)
    for part in (*parts, OpenApi(parts)):
        app.router.add_routes([route(each) for each in part.operations()])
    if site is not None:
        app.router.add_routes(site.routes())
    return app


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Before the first byte: a stream is not over when its handler returns."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "webhookd"  # and of which version is nobody's business

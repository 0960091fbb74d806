"""The dashboard on the admin listener: who may see which page, from where a form may come, how errors look."""

import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from webhookd.admin.dashboard.frame.cookie import cookie_of
from webhookd.admin.dashboard.frame.forms import form_of
from webhookd.admin.dashboard.frame.render import Renderer
from webhookd.admin.dashboard.frame.sessions import Sessions
from webhookd.admin.dashboard.frame.visit import Page, Visit, ours
from webhookd.admin.door.app import Handler
from webhookd.admin.door.doorkeeper import Doorkeeper
from webhookd.admin.door.explained import explained
from webhookd.admin.door.inside import Inside
from webhookd.admin.door.operation import operation_of
from webhookd.admin.door.reasons import RefusedError
from webhookd.admin.door.token import GOOD_FOR

CSRF = "csrf"
"""The field of every form that changes something."""
_PAGE = "page"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
}
"""Of every page: nothing from elsewhere is loaded, nothing inline runs, and no script may make markup of a text.

Referrers stay here. With none at all a browser would say of our own forms that they come from nowhere (Origin: null).
"""


class Part(Protocol):
    """What some of the pages are."""

    def pages(self) -> Sequence[Page]: ...


class LoginNeededError(Exception):
    """Nobody is in, or no longer."""


class Dashboard:
    """Fits `door.app.Site`."""

    def __init__(
        self, doorkeeper: Doorkeeper, sessions: Sessions, inside: Inside, renderer: Renderer, *parts: Part
    ) -> None:
        self._doorkeeper = doorkeeper
        self._sessions = sessions
        self._inside = inside
        self._renderer = renderer
        self._pages = [page for part in parts for page in part.pages()]

    def routes(self) -> Sequence[web.RouteDef]:
        static = web.get("/static/{edition}/{name}", self._static)
        return [*map(self._route, self._pages), static]

    def serves(self, request: web.Request) -> bool:
        if getattr(request.match_info.handler, _PAGE, None) is not None:
            return True
        nowhere = operation_of(request) is None and not request.path.startswith(("/api/", "/static/"))
        return nowhere and "text/html" in request.headers.get("Accept", "")

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises LoginNeededError, RefusedError, and what the page raises."""
        page: Page | None = getattr(request.match_info.handler, _PAGE, None)
        if page is not None and page.method == "GET":
            check_use(request)
        guest = self._sessions.find(cookie_of(request), request.remote or "")
        request["visit"] = visit = Visit(request, guest, self._sessions, self._inside, self._renderer)
        if page is None:
            return await handler(request)  # raises that there is no such page
        if page.method == "POST":
            check_origin(request)
        if page.scope != "nobody":
            if guest is None:
                raise LoginNeededError
            if page.scope not in GOOD_FOR[guest.visitor.scope]:
                raise RefusedError(403, f"This page is for tokens that are good for {page.scope}.")
        if page.method == "POST":
            visit.form = await form_of(request)
            # Who logs in has shown a token in this very form; that it is a form of ours, its origin says.
            if page.scope != "nobody":
                check_csrf(visit)
        with self._doorkeeper.reading(guest.visitor if guest is not None and page.method == "GET" else None):
            return _with_headers(await page.handle(visit))

    def problem(self, request: web.Request, error: Exception) -> web.StreamResponse:
        visit = request.get("visit") or Visit(request, None, self._sessions, self._inside, self._renderer)
        if isinstance(error, LoginNeededError):
            return _with_headers(self._ask_who(visit))
        told = explained(error, request)
        if told.status == HTTPStatus.NO_CONTENT:
            return _with_headers(web.Response(status=told.status, headers=told.headers))
        phrase, back = HTTPStatus(told.status).phrase, visit.came_from
        response = visit.show("problem.html", status=told.status, told=told, phrase=phrase, back=back)
        response.headers.update(told.headers)
        return _with_headers(response)

    def _ask_who(self, visit: Visit) -> web.Response:
        """The login, which leads back to where it was asked for; of a form, to where that was.

        A browser keeps the cookie to itself when a page of another site leads here, like a mail that is read on the
        web: so the page asks for itself once more (SameSite=Strict, RFC 6265bis, 8.8.2).
        """
        request = visit.request
        had_one, lost = bool(cookie_of(request)), request.method == "POST"
        then = ours(visit.came_from if lost else request.path_qs)
        from_elsewhere = request.headers.get("Sec-Fetch-Site") == "cross-site" and not had_one and not lost
        wrong = "Your session has ended." if had_one else None
        if lost:
            wrong = "You are no longer logged in, so nothing was changed."
        response = visit.show("login.html", status=401, then=then, wrong=wrong, asks_again=from_elsewhere)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _route(self, page: Page) -> web.RouteDef:
        async def serve(request: web.Request) -> web.StreamResponse:
            raise NotImplementedError(request.path)  # `answer` does it

        setattr(serve, _PAGE, page)
        route = web.get if page.method == "GET" else web.post
        return route(page.path, serve)

    async def _static(self, request: web.Request) -> web.Response:
        """Of another edition, too: a page that was there before an upgrade still looks for its own."""
        found = self._renderer.files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, content_type = found
        kept = request.match_info["edition"] == self._renderer.edition
        headers = {"Cache-Control": "private, max-age=31536000, immutable" if kept else "no-store"}
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)


def check_origin(request: web.Request) -> None:
    """What changes something comes from a page of ours (Fetch Metadata; Origin where a browser is too old for it).

    Raises RefusedError.
    """
    site, origin, host = (request.headers.get(name) for name in ("Sec-Fetch-Site", "Origin", "Host"))
    if site is None:  # of plain HTTP under a name, too
        is_ours = (origin or "").lower() in (f"http://{host}".lower(), f"https://{host}".lower())
    else:
        is_ours = site == "same-origin"
    if not is_ours:
        raise RefusedError(403, "This was not asked for by a page of this dashboard, so nothing was changed.")


def check_use(request: web.Request) -> None:
    """Another site may lead here, and do nothing else with a page: load it as a picture, say, or in a frame.

    That would show it nothing, but count as use of a session, take a place at `/live`, and tell by the time it takes
    what is found here. It is refused before anybody looks who is in. Raises RefusedError.
    """
    site, mode, into = (request.headers.get(f"Sec-Fetch-{name}", "") for name in ("Site", "Mode", "Dest"))
    if site in ("cross-site", "same-site") and (mode != "navigate" or into not in ("document", "")):
        raise RefusedError(403, "This is shown as a page of its own, and not within another site's.")


def check_csrf(visit: Visit) -> None:
    """Raises RefusedError unless the form is one that was made for who is in."""
    given, wanted = visit.form.get(CSRF, ""), "" if visit.guest is None else visit.guest.csrf
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        detail = (
            "This form is of another session, so nothing was changed. Go back, load the page again, and do it anew."
        )
        raise RefusedError(403, detail)


def _with_headers(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
    return response

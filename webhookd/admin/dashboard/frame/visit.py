"""One request for a page, by somebody who may see it: what a page asks, and how it answers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiDict, MultiMapping

from webhookd.admin.dashboard.frame.render import Renderer
from webhookd.admin.dashboard.frame.sessions import Guest, Sessions
from webhookd.admin.door.inside import Inside
from webhookd.admin.door.operation import Scope
from webhookd.admin.door.token import GOOD_FOR

PATH_CHARS_MAX = 2_000


class Visit:
    def __init__(
        self, request: web.Request, guest: Guest | None, sessions: Sessions, inside: Inside, renderer: Renderer
    ) -> None:
        self.request = request
        self.guest = guest
        """None on pages that ask for no session."""
        self.path: Mapping[str, str] = request.match_info
        self.query: MultiMapping[str] = request.query
        self.form: MultiMapping[str] = MultiDict()
        """What was filled in, of a POST."""
        self.sessions = sessions
        self._inside = inside
        self._renderer = renderer

    @property
    def came_from(self) -> str:
        """The page of ours that led here; "/" when there is none."""
        try:
            found = urlsplit(self.request.headers.get("Referer", ""))
        except ValueError:
            return "/"
        if found.netloc.lower() != self.request.headers.get("Host", "").lower():
            return "/"
        return ours(f"{found.path}?{found.query}" if found.query else found.path)

    def may(self, scope: Scope) -> bool:
        """Whether what needs this scope is worth showing a button for. The API itself refuses it in any case."""
        return self.guest is not None and scope in GOOD_FOR[self.guest.visitor.scope]

    async def ask(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """As `Inside.ask`, on behalf of who is in."""
        if self.guest is None:
            raise RuntimeError("nobody is in")
        return await self._inside.ask(self.request, self.guest.visitor, operation, path, query, body)

    def show(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """The page, made of this template."""
        # What is to be said is for who reads the page, and not for a script that asks for its parts again (live.js).
        is_read = "Webhookd-Refresh" not in self.request.headers
        notices = self.sessions.said(self.guest) if self.guest is not None and is_read else ()
        text = self._renderer.render(template, visit=self, here=self.request.path_qs, notices=notices, **values)
        return web.Response(status=status, text=text, content_type="text/html")

    def see_other(self, path: str, said: str | None = None) -> web.Response:
        """After something was done (RFC 9110, 15.4.4): the page that shows it, and what it says on top, once."""
        if said is not None and self.guest is not None:
            self.sessions.say(self.guest, said)
        return web.Response(status=303, headers={"Location": path})


def ours(path: str) -> str:
    """A path of this site, with its query; "/" for what might lead elsewhere who trusts a page of ours."""
    plain = path.startswith("/") and not path.startswith("//") and path.isprintable() and len(path) < PATH_CHARS_MAX
    return path if plain and "\\" not in path else "/"


Handle = Callable[[Visit], Awaitable[web.StreamResponse]]


class Page(NamedTuple):
    """`handle` is asked for at this path, by who has this scope."""

    method: Literal["GET", "POST"]
    path: str
    handle: Handle
    scope: Scope = "read"
